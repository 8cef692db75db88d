#!/bin/bash
# A hundred thousand events that nobody asked for: the worker survives, and its disk serves meanwhile (XSA-332).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# How often the worker has looked for work before it slept
looks() {
    blkbackctl --json show "$domid/xvda" | grep -o '"looks":[0-9]*' | head -n 1 | cut -d: -f2
}

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
check "100000 events and no request" guest_io "notify 100000" "write 0 8 pattern=1" "read 0 8 expect=1"
check "events around every request" guest_io - <<STORM
$(for i in $(seq 50); do
    printf '%s\n' "async write $((i * 8)) 8 pattern=$i" "notify 1000" "read $((i * 8)) 8 expect=any" "wait"
done | sed 's/ expect=any//')
read 400 8 expect=50
STORM
guest_open
tell "read 0 8 expect=1"
check "a guest" hear "read 0 8: status 0 data ok"
before=$(looks)
tell "notify 100000"
check "that sends events" hear "notify: 100000 sent"
more=$(($(looks) - before))
[ "$more" -le 10 ]
ok $? "... has the worker look for work before it sleeps $more times: an event without a request is no reason to"
tell "read 0 8 expect=1" close
check "is served" hear "close: backend Closed"
exits 0 "nothing was wrong" guest_close
events=$(grep -o ' events=[0-9]*' "$log" | tail -n 1 | cut -d= -f2)
passes=$(grep -o ' passes=[0-9]*' "$log" | tail -n 1 | cut -d= -f2)
[ "$events" -ge 1 ] && [ "$passes" -le $((events + 100)) ]
ok $? "$events wake-ups, $passes looks at the ring: no busy loop"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
