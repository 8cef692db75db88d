#!/bin/bash
# Who may have an image beside whom: our worker, reading or writing, and QEMU's own programs, whoever came first; a file and a block
# device. Who is kept out by one of ours says so; ours waits, says for whom, and goes on when that one has let go.
# Prints the table.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/image-users.sh
. "$(dirname "$0")/../lib/image-users.sh"

loop_device=
undo() {
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
}

matrix() {
    local access other_program first second

    while read -r access other_program first second; do
        other_program=${other_program//_/ }
        ours_first "$access" "$other_program" "$first"
        ours_second "$access" "$other_program" "$second"
        printf '# %-8s %-3s %-12s ours first: %-8s ours second: %s\n' "$what" "$access" "$other_program" "$first" "$second"
    done <<'TABLE'
r qemu-io_-r  allowed allowed
r qemu-io     refused refused
r qemu-nbd_-r allowed allowed
r qemu-nbd    refused refused
r qemu_-r     allowed allowed
r qemu        refused refused
w qemu-io_-r  allowed allowed
w qemu-io     refused refused
w qemu-nbd_-r allowed allowed
w qemu-nbd    refused refused
w qemu_-r     refused refused
w qemu        refused refused
TABLE
}

# What only looks is let in, and changes nothing.
look_while_ours() {
    check "$what: it is served" we_serve w
    guest_open
    check "... and its guest works" guest_works
    check "... qemu-img info is allowed" env -u LD_PRELOAD qemu-img info -f raw "$target"
    refuses "... qemu-img resize is not" env -u LD_PRELOAD qemu-img resize -f raw --shrink "$target" 4M
    check "... the guest leaves" we_leave
    rm "$log"
    check "... then anybody may write it" env -u LD_PRELOAD qemu-io -f raw -c "write 0 512" "$target"
}

# ---- another worker ------------------------------------------------------------------------------

# Of another VM: the hotplug script refuses it, if one of the two writes.
other_vm_second() {
    if [ "$3" = allowed ]; then
        check "... then that of another VM, $2, is attached" serve "$target" --set=mode="$2"
        guest_open
        check "... and its guest works beside" guest_works
        check "... and leaves" we_leave
        rm "$log"
        return
    fi
    refuses "... then that of another VM, $2, is refused" attach xvda "$target" --set=mode="$2"
    like "$(xenstore-read "$be/hotplug-error")" "*in use by the disk backend/vbd/6/51712*" "... which says by whom"
    withdraw
}

# Of the guest that the first one's domain is the stub domain of
same_vm_second() {
    xenstore-write /local/domain/6/target 5
    check "... then that of the same VM, $2, is attached" serve "$target" --set=mode="$2"
    guest_open
    if [ "$3" = allowed ]; then
        check "... and its guest works beside" guest_works
    else
        check "... and waits, and the log says for whom" await_line "$log" "waits for the image: .*process $(cat "$BLKBACK_RUNDIR/vbd-6-51712.pid") (blkback-vbd), which"
        is "$(xenstore-read "$be/state")" 2 "... it is not connected"
    fi
    exits 0 "... the first one's guest leaves" second_guest_leaves
    check "... then the second one's works" guest_works
    check "... and leaves" we_leave
    rm "$log"
    xenstore-rm /local/domain/6/target
}

# allowed or refused, and a second one of the same VM waits instead
two_workers() {
    local first second other_vm

    while read -r first second other_vm; do
        check "$what: ours, $first, is attached" of 6 attach xvda "$target" --set=mode="$first"
        second_guest_opens
        check "... its guest works" second_guest_works
        other_vm_second "$first" "$second" "$other_vm"
        same_vm_second "$first" "$second" "$other_vm"
        check "... the first one's disk goes" of 6 detach xvda
        printf '# %-8s %s then %s   another VM: %-8s same VM: %s\n' "$what" "$first" "$second" "$other_vm" "${other_vm/refused/waits}"
    done <<'TABLE'
r r allowed
r w refused
w r refused
w w refused
TABLE
}

xensim domain-create 6
image=$(new_image disk 8M)
what=file target=$image
matrix
two_workers
look_while_ours
if [ "$(id -u)" = 0 ] && loop_device=$(losetup --find --show --direct-io=on "$image" 2>/dev/null); then
    what=device target=$loop_device
    matrix
    two_workers
    check "the device is given back" losetup -d "$loop_device"
    loop_device=
else
    skip "a block device" "no loop device to be had"
fi
assert_clean
done_testing
