#!/bin/bash
# One worker per disk: a second one ends with 6 and does not disturb the first. A pid file left by a dead
# worker is no obstacle.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
blkback-vbd -f "$be" 2>"$work/second"
is $? 6 "a second worker ends with 6"
like "$(cat "$work/second")" "*$BLKBACK_RUNDIR/vbd-5-51712.pid*" "... and names the pid file"
exits 6 "... in the background, too" blkback-vbd "$be"
tell "read 0 8 expect=1"
check "the first goes on" hear "read 0 8: status 0 data ok"
exits 0 "the guest leaves" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

echo 1 >"$BLKBACK_RUNDIR/vbd-5-51712.pid"
check "a stale pid file of process 1" attach xvda "$image"
check "the disk works" guest_io "read 0 8 expect=1"
check "the disk detaches" detach xvda
assert_clean
done_testing
