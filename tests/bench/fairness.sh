#!/bin/sh
# Figures, never a pass or fail: what two guests keep of their share when a third one, of the same host, misbehaves.
#
#   make bench-fairness        ROUNDS=n SECONDS_EACH=n SIZE_MIB=n WAYS='events discards' tests/bench/fairness.sh
#
# Three guests have a disk and a worker each. Two of them do steady 4k random I/O: guest 1 reads 32 at a time, guest 2 writes 8 at
# a time. The third part of the machine that is a guest's share is what it gets while all three do as it does: the mean of the three.
# Both shares are measured again right before each way to misbehave, so that a noisy machine disturbs all. A fraction is what it got
# in all rounds together, over its share in all of them: where the scheduler happens to put who changes with each run, and 2 s are too
# short to make up for it (see the lowest of all). IOPS are medians, those of the shares over all that were measured. CPU is what the third guest's
# worker, and xenstored, took of one processor meanwhile. The misbehaving guest, its kernel and the hypervisor live on the same
# processors, as they would not on Xen.
set -eu
cd "$(dirname "$0")/../.."

build=${BLKBACK_BUILD:-$PWD/build/default}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-2}
size_mib=${SIZE_MIB:-128}
ways=${WAYS:-events bad-requests store reconnects overruns flushes discards grants large log}

# A simulated host around us; it ends with us.
[ -n "${BENCH_IN_HOST-}" ] || exec env BENCH_IN_HOST=1 BLKBACK_BUILD="$build" tests/lib/in-host "$0" "$@"
unset LD_PRELOAD

work=
hostile=
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP PIPE
    [ -z "$hostile" ] || kill -s KILL -- "-$hostile" 2>/dev/null || :
    for id in 1 2 3; do
        [ ! -e "$work/attached.$id" ] || detach "$id" || status=1
    done
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

die() {
    echo "fairness.sh: $*" >&2
    exit 1
}

# ---- guests and their disks -------------------------------------------------------------------

# $1: domain
fill() {
    dd if=/dev/urandom of="$work/disk.$1" bs=1M count="$size_mib" conv=notrunc status=none
}

# $1: domain
attach() {
    : >"$work/attached.$1" # known to `finish` before it is there
    setsid -w xensim vbd-attach --script="$PWD/tools/block-blkback" "$1" xvda "$work/disk.$1" || die "no disk for guest $1"
}

detach() {
    setsid -w xensim vbd-detach --force "$1" xvda && rm "$work/attached.$1"
}

# as_guest DOMAIN COMMAND...
as_guest() {
    id=$1
    shift
    env LD_PRELOAD="$XENSIM_PRELOAD" XENSIM_DOMID="$id" XENSTORED_PATH="$XENSIM_DIR/dom$id/xenstored" "$@"
}

# A steady load; $1: domain, $2: operation, $3: depth. A session of its own, as the misbehaving guest has: the scheduler
# gives each session the same part of a processor (sched_autogroup_enabled), as Xen's gives each domain.
load() {
    as_guest "$1" setsid -w blkfront-bench --op="rand$2" --iodepth="$3" --seconds="$seconds" --json >"$work/json.$1" ||
        die "guest $1: blkfront-bench failed"
}

iops() {
    sed -n 's/.*"iops": \([0-9]*\).*/\1/p' "$work/json.$1"
}

# ---- ways to misbehave ------------------------------------------------------------------------

# again N LINE...: N times these commands, waited for, and that for ever
again() {
    n=$1
    shift
    for _ in $(seq "$n"); do
        printf 'async %s\n' "$@"
    done >"$work/commands"
    echo wait >>"$work/commands"
    while cat "$work/commands"; do :; done
}

# One page after the other, of more than may stay mapped for a ring of one page. The simulator numbers a pool's grants in order.
rotating_grants() {
    awk 'BEGIN { for (gref = 64; gref < 8064; gref++) {
        print "async request op=0 segs=0-7 status=any gref=" gref
        if (gref % 30 == 0) print "wait" }
        print "wait" }' >"$work/commands"
    while cat "$work/commands"; do :; done
}

# $1: blkfront-io's options, as words; its commands come from standard input
play() {
    # shellcheck disable=SC2086 # words
    as_guest 3 blkfront-io --any-padding $1 -
}

# Each says something as soon as it is at work. What it says does not count, nor whether anything fails.
misbehave() {
    case $1 in
        events) yes 'notify 1000000' | { echo 'read 0 8'; cat; } | play '' ;;
        bad-requests) again 500 'request op=77 status=any' | play --ring-order=4 ;;
        store) yes "$(printf 'node state 4\nnode flood 1')" | play '' ;;
        reconnects) yes reopen | play '' ;;
        overruns) while :; do as_guest 3 blkfront-io 'read 0 8' 'overrun 33' 'backend Closing' || :; done ;;
        flushes) again 250 'flush status=any' 'barrier 0 8 status=any' | play --ring-order=4 ;;
        discards) again 30 "discard 0 $((size_mib * 2048)) status=any" | play '' ;;
        grants) rotating_grants | play --pages=8192 ;;
        large) again 30 'request indirect=1 op=0 sector=0 nr_segments=256 segs=0-7 status=any' | play --indirect=256 ;;
        log)
            again 100 'request op=77 status=any' 'request op=0 nr_segments=0 status=any' 'request op=0 segs=5-4 status=any' \
                'read 4294967296 1 status=any' 'request op=0 segs=0-7 gref=4000000000 status=any' | play --ring-order=4
            ;;
        *) die "no such way to misbehave: $1" ;;
    esac
}

# ---- one run ----------------------------------------------------------------------------------

# CPU time of a process, in ms
cpu_ms() {
    sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ printf "%d\n", ($12 + $13) * 1000 / hz }'
}

cpu_of_both() {
    echo "$(cpu_ms "$(cat "$BLKBACK_RUNDIR/vbd-3-51712.pid")") $(cpu_ms "$(cat "$XENSIM_DIR/xenstored/pid")")"
}

good_guests() {
    load 1 read 32 &
    one=$!
    load 2 write 8 &
    wait "$one" && wait $!
}

# Prints what one of three gets who all do the same. $1: operation, $2: depth
run_share() {
    load 1 "$1" "$2" &
    one=$!
    load 2 "$1" "$2" &
    two=$!
    load 3 "$1" "$2"
    wait "$one" || die "no share could be measured"
    wait "$two" || die "no share could be measured"
    echo $((($(iops 1) + $(iops 2) + $(iops 3)) / 3))
}

# Prints what both got, and the CPU in percent. $1: way
run_hostile() {
    setsid "$0" --misbehave "$1" "$work" >"$work/said" 2>/dev/null &
    hostile=$!
    exec 4<"$work/said"
    read -r _ <&4 || die "$1: the third guest does nothing"
    cat <&4 >/dev/null 2>&1 &
    exec 4<&-
    before=$(cpu_of_both)
    started=$(date +%s%N)
    good_guests || die "$1: a good guest was not served"
    after=$(cpu_of_both)
    ms=$((($(date +%s%N) - started) / 1000000))
    kill -s KILL -- "-$hostile" || die "$1: the third guest has ended on its own"
    wait "$hostile" 2>/dev/null || :
    hostile=
    echo "$(iops 1) $(iops 2) $(((${after% *} - ${before% *}) * 100 / ms)) $(((${after#* } - ${before#* }) * 100 / ms))"
}

# ---- the table --------------------------------------------------------------------------------

header() {
    echo "blkbackd bench-fairness: $(blkback-vbd --version), xenstored and hypervisor simulated"
    echo "  machine   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
    echo "  kernel    $(uname -sr)"
    echo "  disks     $size_mib MiB each on $(stat -f -c %T "$work")"
    echo "  rounds    $rounds, in each $seconds s per figure; 4k random I/O; guest 1 reads, depth 32; guest 2 writes, depth 8"
    echo
}

table() {
    echo '                share, IOPS         of it, while guest 3 does that   CPU %'
    echo 'guest 3         guest 1   guest 2   guest 1   guest 2   (lowest)     worker 3  xenstored'
    awk "$(cat tests/bench/median.awk)"'
        function med(name, field,    i, list) {
            for (i = 1; i <= n[name]; i++)
                list[i] = value[name, i, field]
            return median(list, n[name])
        }
        {
            if (!($1 in n)) order[++names] = $1
            i = ++n[$1]
            for (k = 2; k <= 7; k++) value[$1, i, k] = $k + 0
            for (k = 1; k <= 2; k++) {
                share[$1, k] += $(1 + k)
                got[$1, k] += $(3 + k)
                part = $(3 + k) / $(1 + k)
                if (i == 1 && k == 1 || part < lowest[$1]) lowest[$1] = part
            }
        }
        END {
            for (k = 1; k <= names; k++) {
                w = order[k]
                printf "%-15s %-9d %-9d %-9.2f %-9.2f %-12.2f %-9d %d\n", w, med(w, 2), med(w, 3), got[w, 1] / share[w, 1],
                    got[w, 2] / share[w, 2], lowest[w], med(w, 6), med(w, 7)
            }
        }' "$work/runs"
    echo "load at the end: $(cut -d ' ' -f 1-3 /proc/loadavg)"
}

# ---- the story --------------------------------------------------------------------------------

if [ "${1-}" = --misbehave ]; then
    trap - EXIT
    work=$3
    misbehave "$2"
    exit
fi

if [ "$(stat -f -c %T /dev/shm)" = tmpfs ]; then
    work=$(mktemp -d /dev/shm/bench.XXXXXX)
else
    work=$(mktemp -d "$build/bench.XXXXXX")
fi
mkfifo "$work/said"
export BLKBACK_RUNDIR="$work/run" BLKBACK_LOG="$work/worker.log"
for id in 1 2 3; do
    fill "$id"
    xensim domain-create "$id"
    attach "$id"
done

header
for round in $(seq "$rounds"); do
    for way in $ways; do
        printf '\r  round %d of %d: %-20s' "$round" "$rounds" "$way" >&2
        share_of_one=$(run_share read 32)
        share_of_two=$(run_share write 8)
        run_hostile "$way" >"$work/got"
        echo "$way $share_of_one $share_of_two $(cat "$work/got")" >>"$work/runs"
        # The next way meets a worker that has seen nothing of this one, and a disk without its holes, which are read faster.
        detach 3
        fill 3
        attach 3
    done
done
printf '\r%40s\r' '' >&2
table
