#!/bin/bash
# A device's number may be another disk's when the guest comes back: that one is not served as the old one, be it the same file attached anew,
# for nobody can tell. While the guest is there, and while the device stays, it is the same.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can set up a loop device"
first=$(new_image first 8M)
second=$(new_image second 8M)
device=$(losetup --find --show "$first" 2>/dev/null) || skip_all "no loop device to be had"
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

[ -e "/sys/block/${device#/dev/}/diskseq" ] || skip_all "the kernel does not number disks (before Linux 5.15)"

# Until it is free: others take loop devices, too.
reattach() {
    losetup -d "$device" && eventually losetup "$device" "$1" 2>/dev/null
}

check "the disk is served" serve "$device"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
check "... its cache mode changes, which opens the device anew" blkbackctl set-cache 5/xvda writeback
tell "read 0 8 expect=1"
check "... it works on" hear "read 0 8: status 0 data ok"
exits 0 "... and leaves" guest_close
check "it comes back, and finds what it wrote" guest_io "read 0 8 expect=1"
for image in "$second" "$first"; do
    check "the number is that of ${image##*/} now" reattach "$image"
    refuses "... which the guest is not served" guest_io "write 0 8 pattern=2"
    like "$(xenstore-read "$be/hotplug-error")" "*'$device' is not the file or device this disk was on before: detach the disk and attach it again*" \
        "... the store says why"
done
check "nobody wrote the second one" cmp -n 8388608 "$second" /dev/zero
check "the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"
check "attached again it is served" serve "$device"
check "... with what was written" guest_io "read 0 8 expect=1"
check "it detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
undo
device=
assert_clean
done_testing
