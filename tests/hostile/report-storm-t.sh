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
# answers N: so many have come
answers() {
    [ "$(wc -l <"$work/answers")" -ge "$1" ]
}

# The guest is connected all the time: what connecting takes is not counted.
mkfifo "$work/requests"
exec {requests}<>"$work/requests"
# Without our end, which would keep it open.
guest_io - <"$work/requests" >"$work/answers" {requests}>&- &
guest=$!
echo 'request op=77 status=-2' >&"$requests"
check "one bad request is refused" eventually answers 1
before=$(sleeps)
started=$(date +%s%N)
yes 'request op=77 status=-2' | head -n 10000 >&"$requests"
check "10000 bad requests are answered" eventually answers 10001
slept=$(($(sleeps) - before))
elapsed_ms=$((($(date +%s%N) - started) / 1000000))
# Two sleeps per report, one report per 100 ms, and one that was due.
allowed=$((2 * (elapsed_ms / 100 + 2)))
[ "$slept" -le "$allowed" ]
ok $? "the control thread slept $slept times, not more than $allowed"
exec {requests}>&-
exits 0 "each was refused" wait "$guest"
like "$(grep 'served ' "$log")" "* refused=10001 failed=0" "all were counted"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
