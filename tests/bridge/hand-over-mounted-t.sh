#!/bin/sh
# While dom0 has a file system of the image mounted, pages stay: that is told, with where it is mounted. Unmounted, all of it goes.
# And an image of 100 GiB of holes takes about as many system calls as a small one.
set -u

bin=${BLKBACK_BUILD:-build/default}/bin
PATH=$PATH:/usr/sbin:/sbin
# Mounts that a killed test leaves are nobody's.
if [ "${1:-}" != inside ]; then
    if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
        echo "1..0 # SKIP only root can mount"
        exit 0
    fi
    exec unshare -m "$0" inside
fi
dir=$(mktemp -d "${BLKBACK_BUILD:-build/default}/hand-over.XXXXXX") || exit 1
dir=$(cd "$dir" && pwd) || exit 1
undo() {
    umount "$dir/mnt" 2>/dev/null
    rm -rf "$dir"
}
trap undo EXIT

nr=0
# $1: status, $2: what is tested
ok() {
    nr=$((nr + 1))
    [ "$1" -eq 0 ] || printf 'not '
    echo "ok $nr - $2"
    [ "$1" -eq 0 ] || sed 's/^/# /' "$dir/out" "$dir/err"
}

# hand_over ARGUMENTS...: what it prints goes to files
hand_over() {
    "$bin/hand-over" "$@" >"$dir/out" 2>"$dir/err"
}

mkdir "$dir/mnt" && truncate -s 64M "$dir/image" && mkfs.ext4 -q "$dir/image" || exit 1
if ! device=$(losetup --find --show "$dir/image" 2>/dev/null); then
    echo "1..0 # SKIP no loop device to be had"
    exit 0
fi
# From now on it goes with its mount and with this process.
mount "$device" "$dir/mnt" && exec 5<"$device" && losetup -d "$device" || exit 1

# What mkfs and mount have written does not count against the time.
hand_over -b "$dir/image"
hand_over -t 50 "$dir/image"
[ $? -eq 1 ]
ok $? "while it is mounted, it is not handed over"
grep -q "^'$dir/image': after [0-9]* ms" "$dir/err" && grep -q "of '$device' first" "$dir/err"
ok $? "... which names image and device"
grep -qF "$(printf %s "$dir/mnt" | cut -c 1-63) (mounted)" "$dir/err"
ok $? "... and where it is mounted"
hand_over -b "$dir/image"
ok $? "by best effort it is no failure"

echo data >"$dir/mnt/file" && umount "$dir/mnt" || exit 1
hand_over "$dir/image"
ok $? "unmounted, it is"
grep -q '^nodes=2 .* left=0 ' "$dir/out"
ok $? "... and nothing is left, of the file or of the device"
[ "$(debugfs -R "cat file" "$dir/image" 2>/dev/null)" = data ]
ok $? "the file has what was written through the device"

# calls FILE: of the system while it is handed over. The leak checker does not work below strace.
calls() {
    ASAN_OPTIONS="${ASAN_OPTIONS:-}:detect_leaks=0" strace -qq -o "$dir/calls" "$bin/hand-over" "$1" >"$dir/out" 2>"$dir/err" || return 1
    grep -c . "$dir/calls"
}
# Without cachestat each window of 64 MiB is mapped.
case $("$bin/pagecache" -v "$dir/image") in
*mincore*)
    echo "1..$nr"
    exit 0
    ;;
esac
truncate -s 1M "$dir/small" && truncate -s 100G "$dir/large" || exit 1
small=$(calls "$dir/small") && large=$(calls "$dir/large") && [ "$large" -le $((small + 64)) ]
ok $? "100 GiB of holes take about as many system calls as 1 MiB"
echo 7 | dd of="$dir/large" seek=50G oflag=seek_bytes conv=notrunc status=none
large=$(calls "$dir/large") && [ "$large" -le $((small + 96)) ]
ok $? "... nor does one page in the middle of them take many"
echo "1..$nr"
