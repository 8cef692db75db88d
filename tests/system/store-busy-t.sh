#!/bin/bash
# Somebody writes the store so busily that none of the worker's transactions gets through: it keeps its
# disk and tries again, at the next event or at the latest when it looks on its own.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# The worker looks every 30 seconds.
deadline=60
image=$(new_image disk 1M)
check "the disk is served" tripping serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"

trip TRIP_CONFLICT
as_guest xenstore-write device/vbd/51712/state 5
check "the guest is leaving, and Closing does not get through" await_line "$TRIP_CONFLICT" tripped
kill -USR1 "$worker"
check "the worker lives" await_line "$log" "served.*writes=1"
untrip TRIP_CONFLICT
check "without any event the guest learns that it may leave" await "$be/state" 5
as_guest xenstore-write device/vbd/51712/state 6
check "the disk is Closed" await "$be/state" 6
guest_kill

guest_open
check "another guest connects" await "$be/state" 4
trip TRIP_CONFLICT
tell "read 0 8" "overrun 1000"
check "another one breaks its ring, and Closing does not get through" await_line "$TRIP_CONFLICT" tripped
untrip TRIP_CONFLICT
xenstore-write "$be/nudge" 1
check "after the next event it learns of it" await "$be/state" 5
guest_kill
check "the same worker serves on" guest_io "read 0 8 expect=1"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
