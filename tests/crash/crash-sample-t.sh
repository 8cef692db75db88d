#!/bin/bash
# Wherever the power fails, every promise is kept: a few hundred requests for each way a guest may use its disk. The whole is
# `make check-crash`.
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"

requests=${CRASH_REQUESTS:-600}

# mode, what the guest uses, queues
while read -r mode uses queues; do
    name="$mode, $uses, $queues queues"
    check "$name: a guest at work" crash_begin "$mode" "$uses" "$queues"
    check "... $requests requests" crash_load "$requests"
    check "... its end" crash_end
    check "... every promise is kept, wherever the power fails" crash_judge
    say "$name: $cuts cut points"
    seed=$((seed + 1))
done <<'TABLE'
none barrier+flush 1
none barrier+flush 4
none flush 4
none barrier 4
o-dsync neither 4
TABLE
assert_clean
done_testing
