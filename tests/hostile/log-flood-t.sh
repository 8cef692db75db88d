#!/bin/bash
# Ten thousand bad requests and a few dozen refused connections make a bounded number of log lines (XSA-180).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
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
guest_io - <"$work/requests" >/dev/null
ok $? "10000 bad requests, each refused"
# Five causes, and more than one line per cause only if it took longer than the interval.
lines=$(grep -c 'so far on this connection' "$log")
[ "$lines" -ge 5 ] && [ "$lines" -le 20 ]
ok $? "$lines log lines tell of them"
for _ in $(seq 40); do
    as_guest xenstore-write device/vbd/51712/ring-ref nonsense device/vbd/51712/state 3
    await "$be/state" 5
    as_guest xenstore-write device/vbd/51712/state 1
    await "$be/state" 2
done
lines=$(grep -c 'refused' "$log")
[ "$lines" -ge 1 ] && [ "$lines" -le 20 ]
ok $? "$lines log lines tell of 40 refused connections"
lines=$(wc -l <"$log")
[ "$lines" -le 100 ]
ok $? "$lines lines altogether"
check "the disk still works" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
