#!/bin/bash
# A block device is served like a file, and its sector sizes are told to the guest.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can set up a loop device"
image=$(new_image disk 8M)
device=$(losetup --find --show --direct-io=on "$image" 2>/dev/null) || skip_all "no loop device to be had"
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

# A device that somebody holds is detached when he lets go. From then on it may be another test's.
detached() {
    [ -z "$(losetup -j "$image")" ]
}

like "$(blkback-vbd --check "$device")" "sectors=16384 *type=block" "the device can be served"
check "it is" serve "$device"
is "$(xenstore-read "$be/physical-sector-size" 2>/dev/null)" "" "its sectors are told at Connected"
guest_open
tell info
like "$(hear "info:*")" "info: sectors=16384 sector-size=512 *" "the guest sees its size"
is "$(xenstore-read "$be/physical-sector-size")" "$(blockdev --getpbsz "$device")" "... and its physical sectors"
tell "write 3 88 pattern=seed:4" "write 16383 1 pattern=5" flush "read 3 88 expect=seed:4" "read 16384 1 status=-1"
check "the guest writes, flushes and reads" hear "read 16384 1: status -1"
exits 0 "nothing was wrong" guest_close
# A loop device can give back what its file has.
is "$(xenstore-read "$be/feature-discard" "$be/discard-granularity" "$be/discard-alignment" | paste -sd' ')" \
    "1 $(cat "/sys/block/${device#/dev/}/queue/discard_granularity" "/sys/block/${device#/dev/}/discard_alignment" | paste -sd' ')" \
    "discards are offered in the device's pieces"
check "the guest fills it, and gives it back" guest_io "write 8192 88 pattern=6" "write 8280 88 pattern=6" "discard 8192 2048" \
    "read 8192 88 expect=0" "read 8280 88 expect=0" "read 3 88 expect=seed:4"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
check "the file below has the last sector" qemu-io -f raw -r -c "read -P 5 8388096 512" "$image"
check "the device is let go" losetup -d "$device"
device=
check "nobody holds it" eventually detached
assert_clean
done_testing
