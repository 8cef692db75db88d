#!/bin/bash
# Wherever the power fails, every promise is kept: every mode, what the guest may use of it, one queue and four, and what may happen in
# between. Prints a row for each, and fails if all of them had fewer cut points than CRASH_TOTAL.
#
# CRASH_SEED=N          repeats a run, as far as time allows
# CRASH_REQUESTS=N      of each row (default 5000)
# CRASH_MODES='M ...'   none o-dsync directsync writethrough writeback unsafe
# CRASH_USES='U ...'    barrier+flush flush barrier: what the guest uses, and is offered
# CRASH_QUEUES='N ...'  1 4
# CRASH_WORKLOADS='W ...'  plain restarts reattach errors modes loop loop4k failover
# CRASH_TOTAL=N         at least so many cut points (default 100000)
# CRASH_KEEP=FOLDER     where to put the logs of a violation
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"

requests=${CRASH_REQUESTS:-5000}
at_least=${CRASH_TOTAL:-100000}
workloads=${CRASH_WORKLOADS:-plain restarts reattach errors modes loop loop4k failover}

# row MODE USES QUEUES WORKLOAD WHAT
row() {
    printf '# %-12s %-13s %6s  %-9s %s\n' "$@" | tee /dev/stderr
}

has() {
    case " $1 " in *" $2 "*) return 0 ;; esac
    return 1
}

# uses_of MODE: a disk that writes through offers neither
uses_of() {
    case $1 in
        o-dsync | directsync | writethrough) echo neither ;;
        *) echo "${CRASH_USES:-barrier+flush flush barrier}" ;;
    esac
}

# Of the modes that go through the host's page cache, four queues' rows have one that writes back by itself.
disk_options() {
    case $1$2 in
        writethrough4 | writeback4 | unsafe4) echo --page-cache=1 ;;
    esac
}

# run MODE USES QUEUES WORKLOAD
run() {
    # shellcheck disable=SC2046 # no option or one
    one_run "$1" "$2" "$3" "$4" "$requests" $(disk_options "$1" "$3")
    row "$1" "$2" "$3" "$4" "$cuts cut points"
}

# What happens in between is played with all that the mode offers.
run_mode() {
    local mode=$1 uses queues workload all

    for uses in $(uses_of "$mode"); do
        for queues in ${CRASH_QUEUES:-1 4}; do
            ! has "$workloads" plain || run "$mode" "$uses" "$queues" plain
        done
    done
    read -r all _ <<<"$(uses_of "$mode")"
    for workload in $workloads; do
        case $workload in
            plain) ;;
            loop | loop4k) [ -z "$loop_reason" ] && run "$mode" "$all" 4 "$workload" ;;
            modes) [ -z "$change_reason" ] && [ "$mode" != o-dsync ] && run "$mode" "$all" 4 modes ;;
            *) run "$mode" "$all" 4 "$workload" ;;
        esac
    done
}

served_modes=
loop_reason=$(loop_is_missing)
change_reason=
modes_change || change_reason="blkbackctl has no set-cache yet"
row mode uses queues workload result
for mode in ${CRASH_MODES:-$all_modes}; do
    if mode_is_served "$mode"; then
        served_modes="$served_modes $mode"
    else
        row "$mode" - - - "not served: $(refusal)"
    fi
done
for mode in $served_modes; do
    run_mode "$mode"
done
[ -z "$loop_reason" ] || ! has "$workloads" loop || row all - - "loop*" "left out: $loop_reason"
[ -z "$change_reason" ] || ! has "$workloads" modes || row all - - modes "left out: $change_reason"
row total - - - "$nr_cuts cut points"
[ "$nr_cuts" -ge "$at_least" ]
ok $? "at least $at_least cut points"
assert_clean killed
done_testing
