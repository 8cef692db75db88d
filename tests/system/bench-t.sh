#!/bin/bash
# The bench suite runs, writes its result, says why what it cannot measure is left out, and leaves nothing behind. No figure is
# looked at: runs are too short to mean anything.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# suite OPTION...: within this host, which stands for the one that it would start
suite() {
    env -u LD_PRELOAD BENCH_IN_HOST=1 timeout 200 "$tree/tests/bench/bench" --rounds=1 --seconds=0.1 --size-mib=16 "$@" \
        >"$work/said"
}

# of FILE EXPRESSION: of a result
of() {
    python3 -c 'import json, sys; r = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$1" "$2"
}

export BLKBACK_BUILD
check "one round of some cases" suite --only=s4-qd32,s1-randread,slow-4k,bs-1M,queues-null-2 --out="$work/one"
is "$(of "$work/one/bench.json" 'r["errors"]')" "[]" "nothing broke"
is "$(of "$work/one/bench.json" 'sorted({x["who"] for c in r["cases"] for x in c["runs"]})')" \
    "['bare', 'bare-looks', 'echo', 'echo-looks', 'fio', 'fio-uring', 'ring', 'slow']" "each contender had its run"
is "$(of "$work/one/bench.json" '[t["target"] for t in r["targets"]]')" "['S1', 'S4', 'S9', 'S11']" "the targets that were touched have verdicts"
check "a report is there" grep -q '^| \*\*S4\*\* ' "$work/one/report.md"

check "an option that the worker does not know" suite --only=s2-randread-poll-off,engine-aio-disk-qd1 --out="$work/two"
is "$(of "$work/two/bench.json" '[c["name"] for c in r["cases"] if not c["runs"] and not c["left_out"]]')" "[]" \
    "a case was measured, or it is said why not"

check "two results are compared" "$tree/tests/bench/bench" --compare "$work/one/bench.json" "$work/one/bench.json"
refuses "a case that there is none of" suite --only=S99
assert_clean
done_testing
