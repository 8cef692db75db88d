#!/bin/sh
# The instrument behind "pages in the host's page cache: 0" sees pages when there are some:
# what was written past the cache is not there, what was read through it is, by both ways of asking.
set -u

bin=${BLKBACK_BUILD:-build/default}/bin
dir=$(mktemp -d "${BLKBACK_BUILD:-build/default}/pagecache.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
file=$dir/file

# $1: number, $2: what is tested, $3: expected, the rest: the command that prints it
is() {
    number=$1 name=$2 expected=$3
    shift 3
    got=$("$@")
    [ "$got" = "$expected" ] || printf 'not '
    echo "ok $number - $name"
    [ "$got" = "$expected" ] || echo "# expected '$expected', got '$got'"
}

if [ "$(stat -f -c %T "$dir")" = tmpfs ] ||
    ! dd if=/dev/zero of="$file" bs=64k count=16 oflag=direct conv=fsync status=none; then
    echo "1..0 # SKIP the build tree lies on a file system without direct I/O"
    exit 0
fi
echo 1..6

is 1 "written directly: nothing, by cachestat" 0 "$bin/pagecache" "$file"
is 2 "written directly: nothing, by mincore" 0 "$bin/pagecache" -m "$file"

dd if="$file" of=/dev/null bs=64k count=16 status=none
pages=$((1024 * 1024 / $(getconf PAGESIZE)))
is 3 "read through the cache: all, by cachestat" "$pages" "$bin/pagecache" "$file"
is 4 "read through the cache: all, by mincore" "$pages" "$bin/pagecache" -m "$file"

dd of="$file" oflag=nocache conv=notrunc,fdatasync count=0 status=none
is 5 "dropped again: nothing" 0 "$bin/pagecache" "$file"

"$bin/pagecache" "$dir/absent" >/dev/null 2>"$dir/error" && printf 'not '
echo "ok 6 - a file that is not there is an error"
