#!/bin/sh
# Figures, never a pass or fail: what durable writes cost through the ring, against fio on the same file, and what flushes gain
# by sharing an fdatasync.
#
#   make bench-sync        ROUNDS=n SECONDS_EACH=n SIZE_MIB=n MODES='none writeback' STREAMS='1 4' EVERY='1 64' tests/bench/sync.sh
#
# Each stream makes 4k random writes, one after the other, and a flush after every so many; each has a queue of its own. fio has a
# thread for each stream, and makes an fdatasync where the guest flushes, since that is what the worker does. The modes that offer no flush
# have every write stable when it is answered; fio opens the file with O_DSYNC then. Where the page cache is used fio uses it, too.
# What sharing an fdatasync costs where it is cheap: four streams of one disk against four disks with a file and a stream each, which
# share nothing, but have the same ring between.
# Each case runs once through the ring and once without it in every round, in turns, so that a noisy machine disturbs both. The
# files are fully written beforehand, one for each mode. Figures are medians over the rounds; a ratio is the median of the rounds' own ratios,
# and behind it are the lowest and the highest of them; fdatasyncs per flush are the worker's own count, over all rounds. About five minutes.
set -eu
cd "$(dirname "$0")/../.."

build=${BLKBACK_BUILD:-$PWD/build/default}
rounds=${ROUNDS:-3}
seconds=${SECONDS_EACH:-1}
size_mib=${SIZE_MIB:-256}
modes=${MODES:-none writeback directsync writethrough}
streams_list=${STREAMS:-1 2 4}
every_list=${EVERY:-1 8 64}
slow_ms=5
apart_vdevs='xvdf xvdg xvdh xvdi'
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
    for vdev in xvda xvdb xvdc xvdd xvde $apart_vdevs; do
        [ ! -e "$work/$vdev" ] || setsid -w xensim vbd-detach --force $domid "$vdev" || status=1
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
    echo "sync.sh: $*" >&2
    exit 1
}

# ---- the disks --------------------------------------------------------------------------------

# The virtual disk of a mode, or of the slow storage
vdev_of() {
    case $1 in
    none) echo xvda ;;
    writeback) echo xvdb ;;
    directsync) echo xvdc ;;
    writethrough) echo xvdd ;;
    slow) echo xvde ;;
    *) die "no such mode: $1" ;;
    esac
}

fs_of() {
    stat -f -c %T "$1" | sed 's,ext2/ext3,ext2/3/4,'
}

# $1: file, $2: MiB; every block is written, past the page cache
fill() {
    dd if=/dev/urandom of="$1" bs=1M count="$2" oflag=direct conv=fsync status=none 2>"$work/error" &&
        blkback-vbd --check "$1" >/dev/null 2>"$work/error"
}

# $1: virtual disk, $2: file with options
attach() {
    : >"$work/$1" # known to `finish` before it is there
    setsid -w xensim vbd-attach --script="$PWD/tools/block-blkback" $domid "$1" "$2" || die "$1 cannot be attached"
}

# $1: mode
attach_mode() {
    [ ! -e "$work/$1.img" ] || return 0
    vdev=$(vdev_of "$1")
    fill "$work/$1.img" "$size_mib" || die "no file for direct I/O in '$build': $(cat "$work/error")"
    attach "$vdev" "$work/$1.img,cache=$1"
}

# A file for each stream.
attach_apart() {
    for vdev in $apart_vdevs; do
        fill "$work/$vdev.img" $((size_mib / 4)) || die "no file for direct I/O in '$build': $(cat "$work/error")"
        attach "$vdev" "$work/$vdev.img,cache=none"
    done
}

# Storage on which nothing takes time but fdatasync. The disk will do, if there is no tmpfs that takes direct I/O.
attach_slow() {
    slow=$work/slow.img
    if [ "$(fs_of /dev/shm)" = tmpfs ]; then
        shm=$(mktemp -d /dev/shm/bench.XXXXXX)
        ! fill "$shm/slow.img" 16 || slow=$shm/slow.img
    fi
    [ -e "$slow" ] || fill "$slow" 16 || die "no file for direct I/O in '$build': $(cat "$work/error")"
    export LD_PRELOAD="$XENSIM_PRELOAD:$build/lib/libtrip.so" TRIP_SLOW_FDATASYNC=$slow_ms
    attach xvde "$slow"
    unset LD_PRELOAD TRIP_SLOW_FDATASYNC
}

# ---- one run ----------------------------------------------------------------------------------

# $1: key of blkfront-bench's JSON; of several runs at once the sum
json() {
    sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$work"/json.* | awk '{ sum += $1 } END { print sum + 0 }'
}

# $1: virtual disk; prints the worker's fdatasyncs and flushes, all queues and connections together
counted() {
    blkbackctl show "$domid/$1" --json >"$work/shown" || die "the worker of $1 does not answer"
    for name in syncs flushes; do
        grep -o "\"$name\":[0-9]*" "$work/shown" | head -n 1 | cut -d : -f 2
    done | paste -s -d ' '
}

# $1: virtual disk, $2: streams, $3: writes before a flush, or -
guest() {
    every=${3#-}
    env LD_PRELOAD="$XENSIM_PRELOAD" XENSIM_DOMID=$domid XENSTORED_PATH="$XENSIM_DIR/dom$domid/xenstored" \
        blkfront-bench --vdev="$1" --op=randwrite --queues="$2" --streams="$2" ${every:+"--fsync=$every"} \
        --seconds="$seconds" --json >"$work/json.$1"
}

# All print: writes_per_s flushes_per_s fdatasyncs flushes flush_p50_us
# $1: virtual disk, $2: streams, $3: writes before a flush, or -
run_ring() {
    rm -f "$work"/json.*
    before=$(counted "$1")
    guest "$1" "$2" "$3" || die "blkfront-bench failed"
    after=$(counted "$1")
    flushes=$((${after#* } - ${before#* }))
    [ "$flushes" = "$(json flushes)" ] || die "the guest has flushed $(json flushes) times, the worker $flushes"
    echo "$(json iops) $(json flushes_per_s) $((${after% *} - ${before% *})) $flushes $(json flush_p50_us)"
}

# Each stream with a disk of its own. $1: writes before a flush
run_apart() {
    rm -f "$work"/json.*
    guests=
    for vdev in $apart_vdevs; do
        guest "$vdev" 1 "$1" &
        guests="$guests $!"
    done
    for pid in $guests; do
        wait "$pid" || die "blkfront-bench failed"
    done
    echo "$(json iops) $(json flushes_per_s) $(json flushes) $(json flushes) $(($(json flush_p50_us | cut -d . -f 1) / 4))"
}

# $1: mode, $2: streams, $3: writes before a flush, or -
run_fio() {
    case $1 in
    none) way='--ioengine=libaio --direct=1' ;;
    directsync) way='--ioengine=libaio --direct=1 --sync=dsync' ;;
    writeback) way='--ioengine=psync' ;;
    writethrough) way='--ioengine=psync --sync=dsync' ;;
    esac
    [ "$3" = - ] || way="$way --fdatasync=$3"
    ms=$(awk -v s="$seconds" 'BEGIN { printf "%d", s * 1000 }')
    # shellcheck disable=SC2086 # words
    fio --name=sync --filename="$work/$1.img" $way --rw=randwrite --bs=4k --iodepth=1 --numjobs="$2" --thread \
        --group_reporting --time_based --runtime="${ms}ms" --norandommap --randrepeat=0 --invalidate=0 \
        --output-format=json --output="$work/fio" || die "fio failed"
    # What it counts as flushes are only fsyncs, but it knows how long each fdatasync took.
    awk '/^ *"(read|write|trim|sync)" : \{/ { kind = $1 }
        kind == "\"write\"" && $1 == "\"iops\"" { writes = $3 + 0 }
        kind == "\"write\"" && $1 == "\"runtime\"" { ms = $3 + 0 }
        kind == "\"sync\"" && $1 == "\"N\"" { flushes = $3 + 0 }
        kind == "\"sync\"" && $1 == "\"50.000000\"" { p50 = $3 / 1000 }
        END { print writes, flushes * 1000 / ms, flushes + 0, flushes + 0, p50 + 0 }' "$work/fio"
}

# One line for each run in $work/runs: what for, mode, writes before a flush, streams, round, who, and what it printed.
# $1: round, $2: what for, $3: mode, $4: streams, $5: writes before a flush
run_case() {
    order='ring fio'
    [ $(($1 % 2)) = 1 ] || order='fio ring'
    [ "$3" != slow ] || order=ring
    [ "$2 $3 $4" != "sharing none 4" ] || order="$order apart"
    for who in $order; do
        case $who in
        ring) figures=$(run_ring "$(vdev_of "$3")" "$4" "$5") ;;
        fio) figures=$(run_fio "$3" "$4" "$5") ;;
        apart) figures=$(run_apart "$5") ;;
        esac
        echo "$2 $3 $5 $4 $1 $who $figures" >>"$work/runs"
    done
}

# $1: round
run_cases() {
    for mode in $modes; do
        offered=$every_list
        case $mode in directsync | writethrough) offered=- ;; esac
        for every in $offered; do
            for streams in $streams_list; do
                run_case "$1" modes "$mode" "$streams" "$every"
            done
        done
    done
    for mode in slow none; do
        for streams in 1 4; do
            run_case "$1" sharing "$mode" "$streams" 1
        done
    done
}

# ---- the tables -------------------------------------------------------------------------------

header() {
    echo "blkbackd bench-sync: $(blkback-vbd --version), $(fio --version), xenstored and hypervisor simulated"
    echo "  machine   $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) CPUs, load $(cut -d ' ' -f 1-3 /proc/loadavg)"
    echo "  kernel    $(uname -sr)"
    echo "  disks     a $size_mib MiB file on $(fs_of "$work") for each mode: $work"
    echo "  slow      16 MiB file on $(fs_of "$slow"), an fdatasync takes $slow_ms ms more"
    echo "  rounds    $rounds, in each $seconds s per figure; 4k random writes; a queue for each stream, one frontend thread for all"
}

# $1: what for, $2: the awk program's END
figures() {
    awk "$(cat tests/bench/median.awk)"'
        function med(name, who, field,    i, list) {
            for (i = 1; i <= rounds; i++)
                list[i] = value[name, who, i, field]
            return median(list, rounds)
        }
        # Of the two of each round, with the lowest and the highest: list is sorted then.
        function ratio(field, name, who, name_below, who_below,    i, list, middle) {
            for (i = 1; i <= rounds; i++) {
                list[i] = value[name_below, who_below, i, field]
                list[i] = list[i] ? value[name, who, i, field] / list[i] : 0
            }
            middle = median(list, rounds)
            return sprintf("%.2f (%.2f..%.2f)", middle, list[1], list[rounds])
        }
        # Flushes per second, if there are any
        function rate(name, who,    n) {
            n = med(name, who, 8)
            return n ? sprintf("%d", n) : "-"
        }
        function syncs(name, who,    i, n, flushes) {
            for (i = 1; i <= rounds; i++) {
                n += value[name, who, i, 9]
                flushes += value[name, who, i, 10]
            }
            return flushes ? sprintf("%.2f", n / flushes) : "-"
        }
        $1 == "'"$1"'" {
            name = $2 " " $3 " " $4
            if (!(name in seen)) { seen[name] = 1; order[++names] = name }
            if ($5 > rounds) rounds = $5
            for (i = 7; i <= NF; i++) value[name, $6, $5, i] = $i + 0
        }
        END { '"$2"' }' "$work/runs"
}

table_of_modes() {
    cat <<'END'

                              writes/s                                  flushes/s           fdatasyncs
cache mode    every  streams  ring      fio       ratio                 ring      fio       per flush
END
    # shellcheck disable=SC2016 # for awk
    figures modes '
        for (k = 1; k <= names; k++) {
            n = order[k]
            split(n, part, " ")
            printf "%-14s%-7s%-9s%-10d%-10d%-22s%-10s%-10s%s\n", part[1], part[2], part[3],
                med(n, "ring", 7), med(n, "fio", 7), ratio(7, n, "ring", n, "fio"),
                rate(n, "ring"), rate(n, "fio"), syncs(n, "ring")
        }'
}

table_of_sharing() {
    cat <<END

a flush after every write     flushes/s           p50 of a flush, us  fdatasyncs
storage       streams         ring      fio       ring      fio       per flush   ratio
END
    # shellcheck disable=SC2016 # for awk
    figures sharing '
        for (k = 1; k <= names; k++) {
            n = order[k]
            split(n, part, " ")
            is_slow = part[1] == "slow"
            if (!is_slow)
                note = ratio(8, n, "ring", n, "fio") " of fio, with an fdatasync for each"
            else
                note = part[3] == 1 ? "" : ratio(8, n, "ring", "slow 1 1", "ring") " of one stream"
            printf "%-14s%-16s%-10d%-10s%-10d%-10s%-12s%s\n", is_slow ? "slow" : "disk", part[3],
                med(n, "ring", 8), is_slow ? "-" : sprintf("%d", med(n, "fio", 8)),
                med(n, "ring", 11), is_slow ? "-" : sprintf("%d", med(n, "fio", 11)), syncs(n, "ring"), note
        }
        n = "none 1 4"
        printf "%-14s%-16s%-10d%-10s%-10d%-10s%-12s%s\n", "4 disks", "1 each", med(n, "apart", 8), "-", med(n, "apart", 11), "-",
            syncs(n, "apart"), ratio(8, n, "ring", n, "apart") " of that has one disk with 4 streams"'
    echo "load at the end: $(cut -d ' ' -f 1-3 /proc/loadavg)"
}

# ---- the story --------------------------------------------------------------------------------

work=$(mktemp -d "$build/bench.XXXXXX")
export BLKBACK_RUNDIR="$work/run" BLKBACK_LOG="$work/worker.log"
# As many queues as a worker has, however few processors there are.
export BLKBACK_VBD="$work/worker"
# shellcheck disable=SC2016 # for the shell that runs it
printf '#!/bin/sh\nexec blkback-vbd --max-queues=8 "$@"\n' >"$BLKBACK_VBD"
chmod +x "$BLKBACK_VBD"
xensim domain-create $domid
for mode in none $modes; do
    attach_mode "$mode"
done
attach_apart
attach_slow

header
for round in $(seq "$rounds"); do
    printf '\r  round     %d of %d ... ' "$round" "$rounds" >&2
    run_cases "$round"
done
printf '\r                        \r' >&2
table_of_modes
table_of_sharing
