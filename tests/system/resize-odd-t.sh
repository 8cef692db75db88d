#!/bin/bash
# Images that are resized in unusual ways: read-only, removed, emptied, to a size that is no multiple of 512; and one
# whose size cannot be watched.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

asked() {
    blkbackctl resize 5/xvda --json
}

# warnings PATTERN: how many
warnings() {
    grep -c ": warning: .*$1" "$log"
}

image=$(new_image disk 1M)
exec {held}<>"$image"
named=/proc/$$/fd/$held
check "a read-only disk is served" serve "$image" --mode=r
guest_open
tell "read 2047 1"
check "the guest reads" hear "read 2047 1: status 0"
check "the image grows" truncate -s 2M "$image"
tell "await-size 4096" "read 4095 1" "write 4095 1 status=-1"
check "it hears of it" hear "await-size: sectors=4096"
check "it reads what is new" hear "read 4095 1: status 0"
check "and writes nothing" hear "write 4095 1: status -1"
exits 0 "nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

# ---- no multiple of 512 ----------------------------------------------------------------------

check "a disk is served" serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "the guest works" hear "write 0 8: status 0"
check "3 MiB and 511 bytes" truncate -s $((3145728 + 511)) "$image"
tell "await-size 6144" "write 6143 1 pattern=1" "write 6144 1 status=-1"
check "the rest is not served" hear "write 6144 1: status -1"
is "$(warnings "3146239 bytes is not a multiple of 512")" 1 "the log warns"
check "the same sectors, and another rest" truncate -s $((3145728 + 1)) "$image"
check "the log warns" await_line "$log" "warning: .*3145729 bytes is not a multiple of 512"
is "$(asked)" '{"sectors":6144,"changed":false,"told":true}' "the guest is told nothing"
tell close
check "the guest leaves" hear "close: backend Closed"
guest_close
refuses "as the log says, it is not let in again" guest_io info
like "$(xenstore-read "$be/hotplug-error")" "*multiple of 512*" "... and hotplug-error says why"
check "as the log says, the image is extended" truncate -s %512 "$image"
check "then it is let in" guest_io "write 6144 1 pattern=2" "read 6144 1 expect=2"

# ---- emptied ---------------------------------------------------------------------------------

guest_open
tell "read 0 8"
check "the guest reads" hear "read 0 8: status 0"
check "the image is emptied" truncate -s 0 "$image"
exits 1 "that is no size for a disk" asked
like "$(asked 2>&1)" "*the image is empty now*as large as it was" "... which is said"
is "$(xenstore-read "$be/sectors" "$be/state" | paste -sd' ')" "6145 4" "the guest is not told"
tell "read 0 8 status=-1" "read 6145 1 status=-1"
check "its requests fail" hear "read 6145 1: status -1"
is "$(warnings "the image is empty now")" 1 "the log warns once"
check "as the log says, it is made as large as it was" truncate -s $((6145 * 512)) "$image"
is "$(asked)" '{"sectors":6145,"changed":false,"told":true}' "all is as it was"
tell "write 6144 1 pattern=3" "read 6144 1 expect=3"
check "the guest works" hear "read 6144 1: status 0 data ok"

# ---- removed ---------------------------------------------------------------------------------

check "the image is removed" rm "$image"
check "and grows" truncate -s 4M "$named"
tell "await-size 8192" "write 8191 1 pattern=4" "read 8191 1 expect=4"
check "the guest uses what is new" hear "read 8191 1: status 0 data ok"
exits 0 "nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

# ---- not to be watched -----------------------------------------------------------------------

image=$(new_image other 1M)
trip TRIP_INOTIFY
check "a disk is served" tripping serve "$image"
check "a guest comes and goes" guest_io "write 0 8 pattern=1"
guest_open
tell "write 0 8 pattern=1"
check "and comes again" hear "write 0 8: status 0"
is "$(warnings "a new size of the image is not heard of.*raise sysctl fs.inotify.max_user_instances")" 1 \
    "the log warns once that the image cannot be watched"
check "the image grows" truncate -s 2M "$image"
like "$(asked)" '{"sectors":4096,"changed":*,"told":true}' "but it is found"
tell "await-size 4096"
check "and told" hear "await-size: sectors=4096"
exits 0 "nothing was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
