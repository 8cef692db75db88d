#!/bin/bash
# A block device grows and shrinks under a connected guest: the kernel says so, and the guest is told. That the file
# below it changes is none of the disk's business.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can set up a loop device"
# The worker looks on its own after 30 seconds: that is not what is meant.
deadline=20
image=$(new_image disk 8M)
device=$(losetup --find --show --direct-io=on "$image" 2>/dev/null) || skip_all "no loop device to be had"
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

detached() {
    [ -z "$(losetup -j "$image")" ]
}

# resize SIZE: the device, as far as the file below goes
resize() {
    truncate -s "$1" "$image" && losetup -c "$device"
}

check "the device is served" serve "$device"
guest_open
tell "write 16383 1 pattern=1"
check "the guest writes its last sector" hear "write 16383 1: status 0"
check "the file below grows, not the device" truncate -s 16M "$image"
is "$(blkbackctl resize 5/xvda --json)" '{"sectors":16384,"changed":false,"told":true}' "nothing has changed"
check "the device grows" losetup -c "$device"
tell "await-size 32768" "write 32767 1 pattern=2" "read 32767 1 expect=2" "read 16383 1 expect=1"
check "the guest is told, and uses what is new" hear "read 16383 1: status 0 data ok"
check "the device shrinks" resize 4M
tell "await-size 8192" "write 8191 1 pattern=3" "read 8191 1 expect=3" "read 8192 1 status=-1"
check "the guest is told, and uses what is left" hear "read 8191 1: status 0 data ok"
check "... and is refused what has gone, before it is back" hear "read 8192 1: status -1"
check "it grows again" resize 5M
tell "await-size 10240" reopen info
like "$(hear "info:*")" "info: sectors=10240 *" "a guest that comes back finds the same"
check "it grows once more" resize 6M
tell "await-size 12288" flush
check "it is told" hear "flush: status 0"
exits 0 "nothing was wrong" guest_close
is "$(grep -o 'resized: sectors=.*' "$log" | cut -d= -f2 | paste -sd,)" \
    "16384 -> 32768,32768 -> 8192,8192 -> 10240,10240 -> 12288" "the log has each change once"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
check "the device is let go" losetup -d "$device"
device=
check "nobody holds it" eventually detached
assert_clean
done_testing
