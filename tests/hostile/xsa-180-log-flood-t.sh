#!/bin/bash
# Ten thousand bad requests and a few dozen refused connections make a bounded number of log lines (XSA-180).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# backend/util/limits.h: so many lines per cause and 10 seconds, the first of which begin with a line.
trouble=1
life=8

# at_most LINES: what that limit allows in the time since the worker was started
at_most() {
    echo $(($1 * ((SECONDS - started + 1) / 10 + 1)))
}

image=$(new_image disk 1M)
started=$SECONDS
check "the disk is served" serve "$image"
{
    for _ in $(seq 2000); do
        echo "request op=77 status=-2"
        echo "request op=0 nr_segments=0 status=-1"
        echo "request op=0 segs=5-4 status=-1"
        echo "read 2048 1 status=-1"
        echo "request op=0 segs=0-7 gref=4000000000 status=-1"
    done
} >"$work/requests"
deadline=240 guest_io - <"$work/requests" >/dev/null
ok $? "10000 bad requests, each refused"
# Five causes, and more than one line per cause only if it took longer than the interval.
lines=$(grep -c 'so far on this connection' "$log")
[ "$lines" -ge 5 ] && [ "$lines" -le $((5 * $(at_most $trouble))) ]
ok $? "$lines log lines tell of them"
failures=0
for _ in $(seq 40); do
    as_guest xenstore-write device/vbd/51712/ring-ref nonsense device/vbd/51712/state 3
    await "$be/state" 5 || failures=$((failures + 1))
    as_guest xenstore-write device/vbd/51712/state 1
    await "$be/state" 2 || failures=$((failures + 1))
done
is "$failures" 0 "40 connections are refused"
lines=$(grep -c 'the frontend is refused' "$log")
[ "$lines" -ge 1 ] && [ "$lines" -le "$(at_most $life)" ]
ok $? "$lines log lines tell of them"
check "the disk still works" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
