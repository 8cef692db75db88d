#!/bin/bash
# The image is cut off under a connected guest, and the worker does not know yet: what is read beyond the end, or across it, is an
# error and never success with made-up data; what the image still has is read. In each way of doing I/O.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Without inotify it looks every 30 seconds, or when a request is refused.
deadline=20
for mode in none directsync writethrough writeback unsafe; do
    image=$(new_image "$mode" 4M)
    trip TRIP_INOTIFY
    check "$mode: the disk is served, its size is not watched" tripping serve "$image,cache=$mode"
    guest_open
    tell "write 0 88 pattern=seed:1" "write 4048 88 pattern=seed:2"
    check "... it has data" hear "write 4048 88: status 0"
    check "... it is cut off" truncate -s $((4096 * 512)) "$image"
    tell "read 4048 88 status=-1" "read 6000 8 status=-1" "read 4048 48" "read 0 88 expect=seed:1"
    check "... a read across the end is an error" hear "read 4048 88: status -1"
    check "... one behind it, too" hear "read 6000 8: status -1"
    check "... not one before it" hear "read 4048 48: status 0*"
    check "... what is there is read" hear "read 0 88: status 0 data ok"
    exits 0 "... nothing else was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    # The one behind the end may be refused: upon the first error the worker looks at the size.
    check "... the storage has said so" grep -q "a read from the storage failed: Input/output error" "$log"
    untrip TRIP_INOTIFY
    rm "$log"
done
assert_clean
done_testing
