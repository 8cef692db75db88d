#!/bin/bash
# A block device of 4096-byte sectors under a guest that has sectors of 512 (D1): the guest is told both; what it writes in parts of a
# sector is right, also beside others that are in flight in other rings, and after a file system has used it.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can set up a loop device"
image=$(new_image disk 16M)
device=$(losetup --find --show --sector-size=4096 "$image" 2>/dev/null) || skip_all "no loop device of 4096-byte sectors to be had"
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

# A file system on such a device hands on what it asks for.
refused_file() {
    local status

    mkfs.ext4 -q "$device" && mkdir "$work/mnt" && mount "$device" "$work/mnt" || return 1
    truncate -s 1M "$work/mnt/good"
    truncate -s 1049088 "$work/mnt/odd"
    blkback-vbd --check "$work/mnt/good" >&2
    blkback-vbd --check "$work/mnt/odd" >"$work/said" 2>&1
    status=$?
    umount "$work/mnt"
    return "$status"
}

detached() {
    [ -z "$(losetup -j "$image")" ]
}

is "$(blockdev --getss "$device")" 4096 "the device has sectors of 4096 bytes"
like "$(blkback-vbd --check "$device")" "sectors=32768 physical-sector-size=4096 *type=block" "it can be served"
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$device"
check "a worker of four queues" start_worker --max-queues=4
check "... is served" hotplug add
guest_open
tell info "write 3 1 pattern=1" "write 4 1 pattern=2" "write 5 30 pattern=seed:7" "write 32767 1 pattern=3" flush \
    "read 3 1 expect=1" "read 4 1 expect=2" "read 5 30 expect=seed:7" "read 0 3 expect=0" "read 35 5 expect=0" \
    "read 32767 1 expect=3" "read 32760 7 expect=0" "barrier 101 2 pattern=4" "read 101 2 expect=4" "read 96 5 expect=0" \
    "discard 8 24" "read 3 1 expect=1" "read 4 1 expect=2" "read 32768 1 status=-1"
like "$(hear "info:*")" "info: sectors=32768 sector-size=512 *" "the guest sees sectors of 512"
is "$(xenstore-read "$be/physical-sector-size")" 4096 "... and physical ones of 4096"
check "what it writes in parts of them is there, and nothing else is changed" hear "read 32768 1: status -1"
exits 0 "nothing was wrong" guest_close

# Random sizes of 512 bytes and up, many in flight in four rings, every block with a checksum.
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=16m --io_size=16m --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-16k --blockalign=512 --iodepth=64 --fsync=200 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
for guest in "persistent=1" "persistent=0 protocol=x86_32-abi"; do
    check "four rings, $guest: every checksum is right" with_nbd "queues=4 $guest" "$fio"
done
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
is "$(grep -c ': served .* refused=0 failed=0$' "$log")" 2 "the worker has refused nothing of that, and nothing failed"

# Not by the guest's size, but by the device's.
exits 5 "a file on it whose end is in a sector is refused" refused_file
like "$(cat "$work/said")" "*not a multiple of 4096 bytes*truncate -s %4096*" "... and it is said what to do"
check "the device is let go" losetup -d "$device"
device=
check "nobody holds it" eventually detached
assert_clean
done_testing
