#!/bin/bash
# xenstored hangs, and the guest's disk works all the same; it dies: the worker notices at once,
# says so once, releases everything and ends with 4.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "the guest writes" hear "write 0 8: status 0"
daemon=$(cat "$XENSIM_DIR/xenstored/pid")
kill -STOP "$daemon"
tell "write 8 8 pattern=2"
check "it still does when xenstored hangs" hear "write 8 8: status 0"
kill -KILL "$daemon"
exits 4 "the worker ends with 4" ended "$worker"
is "$(grep -c 'xenstored is lost' "$log")" 1 "it says so, once"
is "$(grep -c 'left mapped' "$log")" 0 "nothing was left mapped"
is "$(find "$BLKBACK_RUNDIR" -name '*.pid')" "" "no pid file is left"
exits 4 "without xenstored a new worker does not start" timeout 10 blkback-vbd -f "$be"
guest_kill
# The toolstack cannot clean up without a store; the host's end does.
is "$(xensim counters | grep -c 'domain 0, pid [0-9]*, .*[1-9] mapped')" 0 "no grant of the guest is mapped"
is "$(counter unmapped_by_close)" 1 "the worker has unmapped them itself: the one left was xenstored's"
done_testing
