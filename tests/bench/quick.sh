#!/bin/sh
# Figures, never a pass or fail: 4k random I/O through the ring against fio on the same file.
#
#   make bench-quick        ROUNDS=n SECONDS_EACH=n SIZE_MIB=n tests/bench/quick.sh
#
# Each case runs once through the ring (blkfront-bench, one frontend thread) and once without it (fio,
# libaio, O_DIRECT) in every round, in turns, so that a noisy machine disturbs both. The files are fully
# written beforehand. Figures are medians over the rounds; the ratio is the median of the rounds' own
# ratios; CPU is the sum over all rounds. About two minutes.
set -eu
cd "$(dirname "$0")/../.."

build=${BLKBACK_BUILD:-$PWD/build/default}
rounds=${ROUNDS:-5}
seconds=${SECONDS_EACH:-1}
size_mib=${SIZE_MIB:-512}
domid=1

# A simulated host around us; it ends with us.
[ -n "${BENCH_IN_HOST-}" ] || exec env BENCH_IN_HOST=1 BLKBACK_BUILD="$build" tests/lib/in-host "$0" "$@"
unset LD_PRELOAD BLKBACK_STATSDIR # the record lies where it does on a host

work=
shm=
finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP PIPE
    for vdev in xvda xvdb; do
        [ ! -e "$work/$vdev" ] || setsid -w xensim vbd-detach --force $domid $vdev || status=1
    done
    rm -rf "$work" "$shm"
    exit "$status"
}
trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

die() {
    echo "quick.sh: $*" >&2
    exit 1
}

# ---- the files --------------------------------------------------------------------------------

# $1: a directory for one more; prints it
directory_in() {
    mktemp -d "$1/bench.XXXXXX"
}

fs_of() {
    stat -f -c %T "$1" | sed 's,ext2/ext3,ext2/3/4,'
}

# $1: file; every block is written, past the page cache
fill() {
    dd if=/dev/urandom of="$1" bs=1M count="$size_mib" oflag=direct conv=fsync status=none 2>"$work/error" &&
        blkback-vbd --check "$1" >/dev/null 2>"$work/error"
}

# $1: virtual disk, $2: file
attach() {
    : >"$work/$1" # known to `finish` before it is there
    setsid -w xensim vbd-attach --script="$PWD/tools/block-blkback" $domid "$1" "$2" || die "$1 cannot be attached"
}

# ---- one run ----------------------------------------------------------------------------------

# CPU time of a process, with threads that have ended, in ms.
cpu_ms() {
    sed 's/.*) //' "/proc/$1/stat" | awk -v hz="$(getconf CLK_TCK)" '{ print ($12 + $13) * 1000 / hz }'
}

# $1: key of blkfront-bench's JSON
json() {
    sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$work/json"
}

# Both print: iops ios cpu_us_total p50_us p99_us events_to_backend events_to_frontend frontend_cpu_us
# (the last three per I/O)
# $1: virtual disk, $2: its number, $3: operation, $4: depth
run_ring() {
    pid=$(cat "$BLKBACK_RUNDIR/vbd-$domid-$2.pid")
    before=$(cpu_ms "$pid")
    env LD_PRELOAD="$XENSIM_PRELOAD" XENSIM_DOMID=$domid XENSTORED_PATH="$XENSIM_DIR/dom$domid/xenstored" \
        blkfront-bench --vdev="$1" --op="$3" --iodepth="$4" --seconds="$seconds" --json >"$work/json" ||
        die "blkfront-bench failed"
    after=$(cpu_ms "$pid")
    echo "$(json iops) $(json ios) $(((after - before) * 1000)) $(json p50) $(json p99)" \
        "$(json notified_per_io) $(json events_per_io) $(json cpu_us_per_io)"
}

# $1: file, $2: operation, $3: depth
run_fio() {
    fio --name=quick --filename="$1" --ioengine=libaio --direct=1 --rw="$2" --bs=4k --iodepth="$3" \
        --time_based --runtime="$seconds" --norandommap --randrepeat=0 --invalidate=0 \
        --output-format=terse --terse-version=3 --output="$work/terse" || die "fio failed"
    # Terse version 3: reads from field 6 (KiB, bandwidth, IOPS, ms), percentiles from 18; writes from 47
    # and 59; then user and system CPU in percent of the run.
    awk -F ';' -v first="$([ "$2" = randread ] && echo 6 || echo 47)" '
        { for (i = first + 12; i < first + 32; i++) { split($i, p, "%="); at[p[1] + 0] = p[2] }
          print $(first + 2), $first / 4, ($88 + $89) / 100 * $(first + 3) * 1000, at[50], at[99], 0, 0, 0 }' \
        "$work/terse"
}

# One line for each run in $work/runs: name of the case, round, who, and what it printed.
# $1: round, $2: name, $3: virtual disk, $4: its number, $5: file, $6: operation, $7: depth
run_case() {
    order='ring fio'
    [ $(($1 % 2)) = 1 ] || order='fio ring'
    for who in $order; do
        case $who in
        ring) figures=$(run_ring "$3" "$4" "$6" "$7") ;;
        fio) figures=$(run_fio "$5" "$6" "$7") ;;
        esac
        echo "$2 $1 $who $figures" >>"$work/runs"
    done
}

# $1: round, $2: kind of storage, $3: virtual disk, $4: its number, $5: file
run_cases() {
    for depth in 1 32; do
        for op in read write; do
            run_case "$1" "$2-$op-$depth" "$3" "$4" "$5" rand$op $depth
        done
    done
}

# ---- the table --------------------------------------------------------------------------------

header() {
    echo "blkbackd bench-quick: $(blkback-vbd --version), $(fio --version), xenstored and hypervisor simulated"
    echo "  machine   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, load $(cut -d ' ' -f 1 /proc/loadavg)"
    echo "  kernel    $(uname -sr)"
    echo "  disk      $size_mib MiB file on $(fs_of "$work"): $work"
    echo "  tmpfs     ${tmpfs_note:-$size_mib MiB file in $shm, as an infinitely fast disk}"
    echo "  rounds    $rounds, in each $seconds s per figure; 4k random I/O; persistent grants; one ring"
}

table() {
    cat <<'END'

                    IOPS                        CPU us per I/O          events per I/O   p50/p99 us
                    ring      fio       ratio   worker  frontend* fio   to us   from us  ring         fio**
END
    awk "$(cat tests/bench/median.awk)"'
        function med(name, who, field,    i, list) {
            for (i = 1; i <= rounds; i++)
                list[i] = value[name, who, i, field] + 0
            return median(list, rounds)
        }
        function ratio(name,    i, list) {
            for (i = 1; i <= rounds; i++)
                list[i] = value[name, "ring", i, 4] / value[name, "fio", i, 4]
            return median(list, rounds)
        }
        function cpu(name, who,    i, us, ios) {
            for (i = 1; i <= rounds; i++) {
                ios += value[name, who, i, 5]
                us += value[name, who, i, 6]
            }
            return us / ios
        }
        {
            if (!($1 in seen)) { seen[$1] = 1; name[++names] = $1 }
            if ($2 > rounds) rounds = $2
            for (i = 4; i <= NF; i++) value[$1, $3, $2, i] = $i
        }
        END {
            for (k = 1; k <= names; k++) {
                n = name[k]
                split(n, part, "-")
                printf "%-6s%-6sqd%-4s  %-9d %-9d %-7.2f %-7.1f %-9.1f %-5.1f %-7.3f %-8.3f %-12s %s\n",
                    part[1], part[2], part[3], med(n, "ring", 4), med(n, "fio", 4), ratio(n),
                    cpu(n, "ring"), med(n, "ring", 11), cpu(n, "fio"),
                    med(n, "ring", 9), med(n, "ring", 10),
                    sprintf("%d/%d", med(n, "ring", 7), med(n, "ring", 8)),
                    sprintf("%d/%d", med(n, "fio", 7), med(n, "fio", 8))
            }
        }' "$work/runs"
    echo
    echo "*  the simulated guest's; it has a CPU of its own to live on only if there are two"
    echo "** fio counts from the end of the submission, which on tmpfs is the I/O itself"
}

# ---- the story --------------------------------------------------------------------------------

work=$(directory_in "$build")
disk=$work/disk.img
export BLKBACK_RUNDIR="$work/run" BLKBACK_LOG="$work/worker.log"
fill "$disk" || die "no file for direct I/O in '$build': $(cat "$work/error")"
xensim domain-create $domid
attach xvda "$disk"

tmpfs_note=
if [ "$(fs_of /dev/shm)" = tmpfs ]; then
    shm=$(directory_in /dev/shm)
    fill "$shm/disk.img" || tmpfs_note="left out: $(cat "$work/error")"
else
    tmpfs_note='left out: /dev/shm is not a tmpfs'
fi
[ -n "$tmpfs_note" ] || attach xvdb "$shm/disk.img"

header
for round in $(seq "$rounds"); do
    printf '\r  round     %d of %d ... ' "$round" "$rounds" >&2
    run_cases "$round" disk xvda 51712 "$disk"
    [ -n "$tmpfs_note" ] || run_cases "$round" tmpfs xvdb 51728 "$shm/disk.img"
done
printf '\r                        \r' >&2
table
