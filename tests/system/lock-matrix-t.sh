#!/bin/bash
# Who may have an image beside whom: our worker, reading or writing, and QEMU's own programs, whoever came first; a file and a block
# device. Who is kept out by one of ours says so; ours waits, says for whom, and goes on when that one has let go.
# Prints the table.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

loop_device=
undo() {
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
}

# ---- the others: each holds $target until let_go, or fails at once ------------------------------

# talker COMMAND...: a program that has opened the image when it has answered
talker() {
    local line

    rm -f "$work/talk.in" "$work/talk.out"
    mkfifo "$work/talk.in" "$work/talk.out"
    lifeline
    env -u LD_PRELOAD "$@" <"$work/talk.in" >"$work/talk.out" 2>"$work/refusal" &
    other=$!
    held_by "$other"
    exec {talk_in}>"$work/talk.in" {talk_out}<"$work/talk.out"
    echo length >&"$talk_in"
    read -r -t "$deadline" -u "$talk_out" line
    [[ $line == *MiB* ]] && return 0
    say "$1: $line"
    exec {talk_in}>&- {talk_out}<&-
    ended "$other"
    return 1
}

# daemon COMMAND...: one that goes into the background when it has
daemon() {
    lifeline
    if ! env -u LD_PRELOAD "$@" 2>"$work/refusal" >&2; then
        exec 66>&- {end}<&-
        return 1
    fi
    # qemu-nbd writes it when it is in the background already.
    eventually test -s "$work/other.pid" && other=$(cat "$work/other.pid") && held_by "$other"
}

let_go() {
    local fd=${lifelines[$other]}

    case $1 in
        qemu-io*) echo quit >&"$talk_in" && exec {talk_in}>&- {talk_out}<&- ;;
        *) kill "$other" ;;
    esac
    read -r -t "$deadline" -u "$fd" _
    exec {fd}<&-
    rm -f "$work/other.pid"
}

hold() {
    case $1 in
        "qemu-io -r") talker qemu-io -f raw -r "$target" ;;
        qemu-io) talker qemu-io -f raw "$target" ;;
        "qemu-nbd -r") daemon qemu-nbd -f raw -r --fork --pid-file="$work/other.pid" -k "$work/nbd" "$target" ;;
        qemu-nbd) daemon qemu-nbd -f raw --fork --pid-file="$work/other.pid" -k "$work/nbd" "$target" ;;
        "qemu -r") qemu_system virtio-blk-pci "readonly=on,"  ;;
        qemu) qemu_system ide-hd "" ;;
    esac
}

# As libxl starts it: opened for good, with the host's page cache
qemu_system() {
    daemon qemu-system-i386 -machine pc -nodefaults -display none -S -daemonize -pidfile "$work/other.pid" \
        -drive "file=$target,format=raw,if=none,id=disk,$2cache=writeback" -device "$1,drive=disk"
}

# ---- ours ----------------------------------------------------------------------------------------

# we_serve r|w
we_serve() {
    serve "$target" --set=mode="$1"
}

guest_works() {
    tell "read 0 8" && hear "read 0 8: status 0*"
}

we_leave() {
    guest_close && detach xvda && ended "$worker"
}

# ---- the table -----------------------------------------------------------------------------------

# ours_first r|w OTHER allowed|refused
ours_first() {
    local status

    check "$what: $1 is served" we_serve "$1"
    guest_open
    check "... and its guest works" guest_works
    hold "$2"
    status=$?
    if [ "$3" = allowed ]; then
        is "$status" 0 "... then $2 is allowed"
        [ "$status" != 0 ] || let_go "$2"
    else
        isnt_zero "$status" "... then $2 is refused"
        [ "$status" != 0 ] || let_go "$2"
        like "$(cat "$work/refusal")" "*lock*" "... because of a lock"
    fi
    check "... the guest works on" guest_works
    check "... and leaves" we_leave
    rm "$log"
}

isnt_zero() {
    [ "$1" != 0 ]
    ok $? "$2"
}

# ours_second r|w OTHER allowed|refused
ours_second() {
    check "$what: $2 has it" hold "$2"
    check "... then $1 is served" we_serve "$1"
    guest_open
    if [ "$3" = allowed ]; then
        check "... and its guest works" guest_works
        let_go "$2"
    else
        check "... its guest waits, and the log says for whom" await_line "$log" "waits for the image: .* process $other (${2%% *}"
        is "$(xenstore-read "$be/state")" 2 "... which is not connected"
        let_go "$2"
        check "... until that one has let go" guest_works
    fi
    check "... it leaves" we_leave
    rm "$log"
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

image=$(new_image disk 8M)
what=file target=$image
matrix
look_while_ours
if [ "$(id -u)" = 0 ] && loop_device=$(losetup --find --show --direct-io=on "$image" 2>/dev/null); then
    what=device target=$loop_device
    matrix
    check "the device is given back" losetup -d "$loop_device"
    loop_device=
else
    skip "a block device" "no loop device to be had"
fi
assert_clean
done_testing
