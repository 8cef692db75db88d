#!/bin/sh
# Figures, never a pass or fail: how long it takes to hand the page cache of an image over.
#
#   make bench-hand-over        DIR=FOLDER ROUNDS=n SIZE_MIB=n tests/bench/hand-over.sh
#
# 100 GiB of holes: of which the page cache holds nothing, or one GiB, clean. Medians of five.
# 4 GiB written just before, to blocks that the file has already: what of it the kernel has not written meanwhile is dirty. In turns with plain
# fdatasync and fadvise on the same file, so that a noisy machine disturbs both. The ratio is the median of the rounds' own ratios, of times for
# one dirty GiB, and behind it are the lowest and the highest of them. How often there was a word about progress, which is once a second.
# Needs root, and SIZE_MIB and a little more of disk where DIR is: by default the build's.
set -eu
cd "$(dirname "$0")/../.."

build=${BLKBACK_BUILD:-$PWD/build/default}
rounds=${ROUNDS:-5}
size_mib=${SIZE_MIB:-4096}
PATH=$build/bin:$PATH

work=$(mktemp -d "${DIR:-$build}/bench-hand-over.XXXXXX")
finish() {
    status=$?
    trap - EXIT
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# figure NAME: of the line that hand-over has written
figure() {
    sed -n "s/.* $1=\\([0-9]*\\).*/\\1/p" "$work/out"
}

# median FORMAT: of the numbers on standard input, and how far they reach
median() {
    awk -v format="$1" -f tests/bench/median.awk -f /dev/fd/3 3<<'AWK'
{ list[++n] = $1 }
END { m = median(list, n); printf format, m, list[1], list[n] }
AWK
}

echo "$(uname -sr), $(stat -f -c %T "$work" | sed 's,ext2/ext3,ext2/3/4,'), $(nproc) CPUs, pages counted by $(pagecache -v "$0" | sed 's/.*(\(.*\))/\1/')"

# ---- holes ------------------------------------------------------------------------------------

# holes TITLE CACHED_MIB
holes() {
    for _ in 1 2 3 4 5; do
        [ "$2" = 0 ] || dd if="$work/holes" of=/dev/null bs=1M count="$2" status=none
        hand-over -t 60000 "$work/holes" >"$work/out"
        figure us
    done | median "$1: %.0f us (%.0f to %.0f)\\n"
}

truncate -s 100G "$work/holes"
holes "100 GiB of holes, nothing cached" 0
holes "100 GiB of holes, 1 GiB of them cached, clean" 1024
rm "$work/holes"

# ---- dirty pages ------------------------------------------------------------------------------

write_all() {
    dd if=/dev/zero of="$work/image" bs=1M count="$size_mib" conv=notrunc "$@" status=none
}

# once NAME OPTION...: adds "seconds, dirty MiB, words" to a file of that name
once() {
    name=$1
    shift
    write_all
    hand-over -t 3600000 "$@" "$work/image" >"$work/out"
    printf '%s %s %s\n' "$(figure us)" "$(figure dirty)" "$(grep -c 'bytes are dirty' "$work/out")" |
        awk -v page_size="$(getconf PAGESIZE)" '{ print $1 / 1e6, $2 * page_size / 1048576, $3 }' >>"$work/$name"
}

write_all conv=fsync
for round in $(seq "$rounds"); do
    # Who comes first in one round is second in the next.
    if [ $((round % 2)) = 0 ]; then once plain -p && once over; else once over && once plain -p; fi
done

for name in over plain; do
    case $name in
    over) title="$size_mib MiB written just before, hand-over" ;;
    plain) title="... fdatasync and fadvise" ;;
    esac
    cut -d ' ' -f 1 "$work/$name" | median "$title: %.2f s (%.2f to %.2f)"
    cut -d ' ' -f 2 "$work/$name" | median ", %.0f MiB still dirty (%.0f to %.0f)"
    [ "$name" != over ] || cut -d ' ' -f 3 "$work/$name" | median ", %.0f words of progress (%.0f to %.0f)"
    echo
done
paste -d ' ' "$work/over" "$work/plain" | awk '$2 > 0 && $5 > 0 { print ($1 / $2) / ($4 / $5) }' |
    median "... hand-over / fdatasync, for each dirty MiB: %.2f (%.2f to %.2f)\\n"
