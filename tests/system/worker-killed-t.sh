#!/bin/bash
# A worker that is killed in the middle of I/O: the host is clean, the guest waits and lives, and after a
# forced detach the same disk can be attached again.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
guest_open
tell "write 0 88 pattern=seed:1" flush
check "a guest writes" hear "flush: status 0"
kill -STOP "$worker"
for i in $(seq 16); do
    tell "async write $((i * 88)) 88 pattern=seed:2"
done
tell stats
check "16 requests are on the ring" hear "stats: requests=18 responses=2 *"
kill -KILL "$worker"
exits 137 "the worker is killed" ended "$worker"
# The guest's own handles are as they should be; dom0 has none but the host's.
is "$(xensim counters | grep -c '^handle .*: domain 0, pid [0-9]*,.* [1-9][0-9]* mapped')" 0 \
    "nothing is mapped on its behalf"
check "nobody holds its pid file" flock -n "$BLKBACK_RUNDIR/vbd-5-51712.pid" true

tell stats
check "the guest lives; nothing is answered" hear "stats: requests=18 responses=2 *"
check "the disk can be detached by force" detach xvda --force
refuses "the guest's requests end with an error" guest_close
rm -f "$log"
check "the disk is attached again" serve "$image"
check "it works, and what was flushed is there" guest_io "read 0 88 expect=seed:1" "write 88 88 pattern=seed:3" \
    "read 88 88 expect=seed:3" flush
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean killed
done_testing
