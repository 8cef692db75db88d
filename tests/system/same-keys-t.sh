#!/bin/bash
# A guest is resumed in place, and gets for its new ring the numbers of the old one: grants and ports that were given back last
# are given first. It writes nothing but the same keys and 3, being Connected; that is how it is known to have started over.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

# connected TIMES: that often the worker has taken a ring
connected() {
    [ "$(grep -c ' connected: ' "$log")" = "$1" ]
}

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
persona_open linux
tell start
check "the guest is Connected" hear "start: done"
check "the worker has seen it" eventually worker_is_quiet
# A ring that nothing has been done on is as good as new.
for i in 2 3; do
    as_guest xenstore-write device/vbd/51712/state 3
    check "it is Initialised again: a connection of its own" eventually connected "$i"
    check "... the worker is Connected" await "$be/state" 4
    as_guest xenstore-write device/vbd/51712/state 4
    check "... so is the guest" eventually worker_is_quiet
done
tell "write 0 1000 seed:1" "read 0 1000 seed:1" stop
check "it writes and reads" hear "stop: done"
connected 3
ok $? "nothing else has made the worker begin again"
exits 0 "nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
