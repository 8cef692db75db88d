#!/bin/bash
# The disk of the crash tests itself: whatever way a file is written, flushed and given back, its journal has it.
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"

put() {
    dd if=/dev/urandom of="$1" bs=512 conv=notrunc status=none "${@:2}"
}

# By another name of the same file, opened anew
put_by_descriptor() {
    local fd

    exec {fd}<>"$disk_mount/image"
    put "/proc/self/fd/$fd" "$@"
}

# journal: what it says without ticks, numbers of operations and stamps, in a line
journal() {
    awk '{ $1 = ""; $3 = ""; print }' "$work/journal" | sed -E 's/ [0-9]+\*[0-9]+//g; s/ +/ /g; s/^ //; s/ $//' | paste -sd, -
}

nr_writes_are() {
    echo "count write" >&"$orders"
    [ "$(disk_says)" = "$1" ]
}

# Who wrote the sector, plus one: the upper half of each of its words
first_writer() {
    od -A n -t u4 -N 4 -j $(($1 * 512 + 4)) "$disk_mount/image" | tr -d ' '
}

check "there is a disk" start_disk --depth=0
is "$(stat -c %s "$disk_mount/image")" "$disk_bytes" "it has its size"
is "$(first_writer 7)" 1 "it is full of the stamp of nobody"
check "a direct write" put "$disk_mount/image" oflag=direct seek=8 count=1
check "a buffered one and an fdatasync" put "$disk_mount/image" conv=notrunc,fdatasync seek=16 count=1
check "a synchronous one" put "$disk_mount/image" oflag=direct,dsync seek=24 count=1
check "one by a descriptor's name" put_by_descriptor oflag=direct seek=32 count=1
check "a hole" fallocate -n -p -o 4096 -l 512 "$disk_mount/image"
is "$(first_writer 8) $(first_writer 9)" "0 1" "... is zeros"
check "a hole behind the end is possible, and nothing" fallocate -n -p -o $((1 << 40)) -l 512 "$disk_mount/image"
check "its third write from now on will fail" disk fail write 3 28
check "two do not" put "$disk_mount/image" oflag=direct seek=40 count=2
refuses "one fails" put "$disk_mount/image" oflag=direct seek=42 count=1
check "its next flush will fail, too" disk fail flush 1 5
refuses "it does" put "$disk_mount/image" oflag=direct conv=notrunc,fdatasync seek=44 count=1
check "writes are held" disk hold write
put "$disk_mount/image" oflag=direct seek=48 count=1 &
writer=$!
check "... and come all the same" eventually nr_writes_are 9
check "... until they are not" disk pass write
exits 0 "... and goes on" wait "$writer"
check "the disk ends" stop_disk
ended="end 0"
# fallocate flushes when it has made a hole, and dd once more when its fdatasync fails.
is "$(journal)" "write 8 1 volatile,$ended,write 16 1 volatile,$ended,flush,$ended,write 24 1 fua,$ended,write 32 1 volatile,$ended,discard 8 1,$ended,flush,$ended,flush,$ended,write 40 1 volatile,$ended,write 41 1 volatile,$ended,write 42 1 volatile,end 28,write 44 1 volatile,$ended,flush,end 5,flush,$ended,write 48 1 volatile,$ended" \
    "the journal has all of it, in order"

# With the host's page cache in between the kernel writes back when it likes, but before a flush.
check "there is one below a page cache" start_disk --depth=0 --page-cache=1
check "a buffered write" put "$disk_mount/image" bs=4096 seek=1 count=1
check "... and an fdatasync" put "$disk_mount/image" bs=4096 conv=notrunc,fdatasync seek=2 count=1
check "the disk ends" stop_disk
is "$(journal)" "write 8 8 volatile,$ended,write 16 8 volatile,$ended,flush,$ended" \
    "the journal has the pages, and then a flush"
assert_clean
done_testing
