#!/bin/bash
# One owner per image: its life. It is owned from Connected until the ring is drained, or the worker dies; a second worker of the
# same VM waits for the first; what is mounted is not written; w! shares; where there are no locks that is said.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

mounted=$images/mounted
loop_device=
undo() {
    ! mountpoint -q "$mounted" || umount "$mounted"
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
}

# As QEMU would: who may write it now?
may_write() {
    env -u LD_PRELOAD qemu-io -f raw -c "write 65536 512" "$1" >&2
}

guest_works() {
    tell "read 0 8" && hear "read 0 8: status 0*"
}

# of DOMID COMMAND...: a command of guest.sh about that domain
of() {
    local domid=$1

    "${@:2}"
}

new_guest_has_come() {
    [ "$(xenstore-read /local/domain/6/device/vbd/51712/state)" = 3 ]
}

image=$(new_image disk 8M)

# ---- from Connected to the end -------------------------------------------------------------------

check "a disk without a guest is served" serve "$image"
check "... and nobody owns it" may_write "$image"
guest_open
check "a guest connects" guest_works
refuses "... then it is owned" may_write "$image"
check "... its mode changes" blkbackctl set-cache 5/xvda writeback
refuses "... it is owned still" may_write "$image"
exits 0 "the guest leaves" guest_close
check "... then it is not" may_write "$image"
guest_open
check "it comes back" guest_works
refuses "... and owns it" may_write "$image"
kill -KILL "$worker"
ended "$worker" 2>/dev/null
check "its worker is killed, which frees the image" may_write "$image"
guest_kill
withdraw
rm "$log"

# ---- two workers of one VM -----------------------------------------------------------------------

xensim domain-create 6
xenstore-rm "$(xenstore-read /local/domain/6/vm)"
xenstore-write /local/domain/6/vm "$(xenstore-read /local/domain/5/vm)"
check "a guest migrates: the old domain's disk is served" serve "$image"
guest_open
tell "write 0 8 pattern=5"
check "... and written" hear "write 0 8: status 0"
check "... the new domain's is allowed" of 6 attach xvda "$image"
lifeline
of 6 guest_io "read 0 8 expect=5" "write 0 8 pattern=6" >"$work/new" 2>&1 &
new_guest=$!
held_by "$new_guest"
new=/local/domain/0/backend/vbd/6/51712
check "... whose guest has come" eventually new_guest_has_come
tell "write 8 8 pattern=5" "read 0 8 expect=5"
check "... the old one works on" hear "read 0 8: status 0 data ok"
is "$(xenstore-read "$new/state")" 2 "... the new one's disk waits"
exits 0 "the old one leaves" guest_close
check "... its disk goes" detach xvda
exits 0 "... and its worker" ended "$worker"
exits 0 "the new one works, and has what was written" ended "$new_guest"
check "... its disk goes, too" of 6 detach xvda
xensim domain-destroy 6
rm -f "$log"

# ---- somebody who does not go --------------------------------------------------------------------

# Open for as long as its input is.
mkfifo "$work/qemu.in"
lifeline
env -u LD_PRELOAD qemu-io -f raw "$image" <"$work/qemu.in" >"$work/qemu.out" 2>&1 &
holder=$!
held_by "$holder"
exec {qemu_in}>"$work/qemu.in"
echo length >&"$qemu_in"
check "another program writes the image" await_line "$work/qemu.out" MiB
check "a disk is served" serve "$image"
refuses "... its guest is refused in the end" as_guest timeout --foreground 90 blkfront-io --timeout=60 "read 0 8"
like "$(xenstore-read "$be/hotplug-error")" "*the image is in use by process $holder (qemu-io), which writes it: end that one first*" \
    "... the store says because of whom"
check "... and so does the log" await_line "$log" "the frontend is refused: the image is in use by process $holder (qemu-io)"
check "the image is taken away" mv "$image" "$image.away"
refuses "... for which nobody waits" guest_io "read 0 8"
like "$(xenstore-read "$be/hotplug-error")" "*$image*No such file or directory*" "... the store says why"
check "it is there again" mv "$image.away" "$image"
echo quit >&"$qemu_in"
exec {qemu_in}>&-
exits 0 "the other program ends" ended "$holder"
check "... the guest is served when it comes again" guest_io "read 0 8"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# ---- w!: who asks for it shares ------------------------------------------------------------------

check "a disk that may be shared is served" serve "$image" --set=mode=w!
guest_open
check "... and its guest works" guest_works
check "... others may write it" may_write "$image"
refuses "... but not resize it" env -u LD_PRELOAD qemu-img resize -q -f raw "$image" 9M
exits 0 "... its guest leaves" guest_close
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# ---- no locks ------------------------------------------------------------------------------------

trip TRIP_LOCKS
check "where there are no locks a disk is served" tripping serve "$image"
check "... its guest works" guest_io "read 0 8"
check "... and again" guest_io "read 0 8"
is "$(grep -c "the image's file system has no locks (No locks available): nobody is kept from using it beside this disk" "$log")" 1 \
    "... the log warns, once"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
untrip TRIP_LOCKS
rm "$log"

# ---- devices that the kernel uses ----------------------------------------------------------------

use_device() {
    check "there is a file system" mkfs.ext4 -q -F "$image"
    mkdir "$mounted"
    loop_device=$(losetup --find --show --direct-io=on "$image") && mount -o ro "$loop_device" "$mounted"
    ok $? "... mounted from a device"
    for path in "$loop_device" "$image"; do
        refuses "a disk on ${path%%[0-9]*} is refused" attach xvda "$path"
        like "$(xenstore-read "$be/hotplug-error")" "*the device *is in use: $mounted (mounted): unmount or stop that first*" "... the store says why"
        withdraw
        check "... but not if it shares" attach xvda "$path" --set=mode=w!
        check "... it goes" detach xvda
    done
    check "unmounted" umount "$mounted"
    check "... a disk on it is served" serve "$loop_device"
    check "... and then it is mounted again" mount -o ro "$loop_device" "$mounted"
    guest_open
    check "... its guest waits, and the log says why" await_line "$log" "waits for the image: the device is in use: .*mounted"
    check "it is unmounted" umount "$mounted"
    check "... then the guest works" guest_works
    refuses "... and it cannot be mounted" mount -o ro "$loop_device" "$mounted"
    exits 0 "... the guest leaves" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    rm "$log"
    check "mounted once more, to be read" mount -o ro "$loop_device" "$mounted"
    check "... by a guest, too" serve "$loop_device" --set=mode=r
    check "... who does" guest_io "read 0 8"
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    check "... unmounted" umount "$mounted"
    check "the device is given back" losetup -d "$loop_device"
    loop_device=
}

if [ "$(id -u)" = 0 ] && probe=$(losetup --find --show "$image" 2>/dev/null) && losetup -d "$probe"; then
    use_device
else
    skip "a device that is mounted" "no loop device to be had"
fi
assert_clean killed
done_testing
