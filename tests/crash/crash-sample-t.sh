#!/bin/bash
# Wherever the power fails, every promise is kept: a few hundred requests for each way a guest may use its disk. The whole is
# crash-all-t.sh.
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"

# shellcheck disable=SC2034 # for load_modes
served_modes='none directsync writethrough writeback unsafe'
# mode, what the guest uses, queues, workload, requests
while read -r mode uses queues workload requests; do
    one_run "$mode" "$uses" "$queues" "$workload" "${CRASH_REQUESTS:-$requests}"
    say "$mode, $uses, $queues queues, $workload: $cuts cut points"
done <<'TABLE'
none barrier+flush 1 plain 500
none barrier+flush 4 modes 700
none flush 4 plain 700
none barrier 4 plain 700
o-dsync neither 4 plain 400
directsync neither 4 modes 400
writethrough neither 4 plain 400
writeback barrier+flush 4 plain 600
writeback barrier+flush 4 modes 600
writeback barrier+flush 4 errors 600
unsafe barrier+flush 4 modes 400
unsafe barrier+flush 4 reattach 400
none flush 1 failover 600
none barrier+flush 4 errors 800
none flush 1 errors 800
o-dsync neither 4 errors 400
none barrier+flush 4 restarts 600
none barrier+flush 1 reattach 400
TABLE
assert_clean killed
done_testing
