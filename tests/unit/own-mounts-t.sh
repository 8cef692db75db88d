#!/bin/sh
# What one test mounts, no other one sees, so that no other's mount namespace keeps a file system that the test has unmounted (run-test).
# Asked of run-test with two tests made here: one mounts and waits, the other looks, and lives longer.
set -u

if [ "$(id -u)" != 0 ] || ! unshare -m true 2>/dev/null; then
    echo "1..0 # SKIP only root can mount"
    exit 0
fi
tree=$(cd "$(dirname "$0")/../.." && pwd) || exit 1
build=$(cd "${BLKBACK_BUILD:-$tree/build/default}" && pwd) || exit 1
dir=$(mktemp -d "$build/own-mounts.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
export dir
mkdir "$dir/disk" && mkfifo "$dir/mounted" "$dir/looked" "$dir/unmounted" || exit 1

# test_of NAME: standard input as a test that is run here
test_of() {
    {
        echo '#!/bin/sh'
        cat
    } >"$dir/$1-t.sh"
    chmod +x "$dir/$1-t.sh"
    # What is to be met and is not there is waited for: less long than this test is.
    BLKBACK_TEST_TIMEOUT=60 BLKBACK_BUILD=$build "$tree/tests/lib/run-test" "$dir/$1-t.sh"
}

echo 1..4
test_of mounts <<'TEST' >"$dir/mounts" 2>&1 &
mount -t tmpfs none "$dir/disk" && : >"$dir/disk/file" || exit 1
echo "there is $(ls "$dir/disk")"
: >"$dir/mounted"
read -r _ <"$dir/looked"
umount "$dir/disk" || exit 1
: >"$dir/unmounted"
TEST
mounts=$!
test_of looks <<'TEST' >"$dir/looks" 2>&1 &
: <"$dir/mounted"
unshare -m sh -c 'ls "$dir/disk"; echo looked >"$dir/looked"; : <"$dir/unmounted"; grep -c "$dir/disk" /proc/mounts'
:
TEST
looks=$!

# ok STATUS NAME
nr=0
ok() {
    nr=$((nr + 1))
    [ "$1" = 0 ] || printf 'not '
    echo "ok $nr - $2"
    [ "$1" = 0 ] || sed 's/^/# /' "$dir/mounts" "$dir/looks"
}

wait "$mounts"
ok $? "a test mounts a file system, and unmounts it"
wait "$looks"
ok $? "beside it another one makes a mount namespace"
[ "$(cat "$dir/mounts")" = "there is file" ]
ok $? "the one sees what it has mounted"
[ "$(cat "$dir/looks")" = 0 ]
ok $? "the other's namespace has nothing of it, not before and not after"
