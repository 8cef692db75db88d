#!/bin/bash
# Ten thousand bad requests wake the control thread a bounded number of times: it has other things to do.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Of the main thread: how often it went to sleep.
sleeps() {
    awk '/^voluntary_ctxt_switches/ { print $2 }' "/proc/$worker/task/$worker/status"
}

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
# What connecting and closing take: each word with the store may be a sleep, or none.
before=$(sleeps)
check "one bad request is refused" guest_io "request op=77 status=-2"
alone=$(($(sleeps) - before))
yes 'request op=77 status=-2' | head -n 10000 >"$work/requests"
before=$(sleeps)
started=$(date +%s%N)
guest_io - <"$work/requests" >/dev/null
ok $? "10000 bad requests, each refused"
slept=$(($(sleeps) - before))
elapsed_ms=$((($(date +%s%N) - started) / 1000000))
# Two sleeps per report, one report per 100 ms; what connecting and closing take on top.
allowed=$((2 * (elapsed_ms / 100 + 1) + 2 * alone))
[ "$alone" -lt 1000 ]
ok $? "connecting and closing take $alone sleeps, few beside 10000 requests"
[ "$slept" -le "$allowed" ]
ok $? "the control thread slept $slept times, not more than $allowed"
like "$(grep 'served ' "$log")" "* refused=10000 failed=0" "all were counted"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
