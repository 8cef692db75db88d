#!/bin/bash
# A size that cannot be told: the guest's requests are judged by it all the same, and it is told as soon as it gets
# through. Not told is a guest that is leaving, or has nobody who serves it.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

asked() {
    blkbackctl resize 5/xvda --json
}

node() {
    xenstore-read "$be/sectors" "$be/state" | paste -sd' '
}

image=$(new_image disk 1M)
check "the disk is served" tripping serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "the guest works" hear "write 0 8: status 0"

# ---- others keep the store busy -------------------------------------------------------------

trip TRIP_CONFLICT
check "the image grows" truncate -s 2M "$image"
check "it does not get through to the store" await_line "$TRIP_CONFLICT" tripped
is "$(node)" "2048 4" "... so the guest is not told"
tell "write 4095 1 pattern=2" "read 4095 1 expect=2"
check "... but it may use what is new" hear "read 4095 1: status 0 data ok"
is "$(asked)" '{"sectors":4096,"changed":true,"told":false}' "... and who asks is told how it is"
is "$(blkbackctl resize 5/xvda)" "2.0 MiB, 4096 sectors: changed, and the guest could not be told yet" "... in words"
untrip TRIP_CONFLICT
like "$(asked)" '{"sectors":4096,"changed":*,"told":true}' "the next look tells the guest"
tell "await-size 4096"
check "... which hears it" hear "await-size: sectors=4096"

# ---- the guest is leaving: it must not see Connected once more -------------------------------

check "the worker is stopped" stop_worker
check "the image grows" truncate -s 3M "$image"
as_guest xenstore-write device/vbd/51712/state 5
kill -CONT "$worker"
check "the guest leaves at the same time" await "$be/state" 5
is "$(asked)" '{"sectors":6144,"changed":true,"told":false}' "the worker has seen both"
is "$(node)" "4096 5" "the guest is not told"
as_guest xenstore-write device/vbd/51712/state 6
check "the disk is Closed" await "$be/state" 6
exits 1 "there is no size to look at" asked
guest_kill
guest_open
tell info
like "$(hear "info:*")" "info: sectors=6144 *" "a guest that comes back finds the new size"
is "$(grep -c 'resized: ' "$log")" 2 "the log has each change once"

# ---- nobody serves it -----------------------------------------------------------------------

kill -KILL "$worker"
ended "$worker"
launch exec_logged blkback-vbd -f "$be"
worker=$launched
check "another worker comes after one that was killed" await_line "$log" "the worker before this one died"
check "the image grows" truncate -s 4M "$image"
exits 1 "it has no size to look at" asked
is "$(node)" "6144 4" "and tells nothing"
guest_kill
check "the disk is detached" detach xvda --force
ended "$worker"
assert_clean killed
done_testing
