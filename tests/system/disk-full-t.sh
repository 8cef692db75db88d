#!/bin/bash
# The storage below a sparse image is full: the write is an ERROR for the guest and one line in the log;
# reading goes on, and so does writing when there is space again.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can make a file system that is full"
undo() {
    umount "$images/small" 2>/dev/null
}

# A small file system with direct I/O: tmpfs since Linux 6.6, otherwise ext4 on a loop device.
mkdir "$images/small"
make_tmpfs() {
    mount -t tmpfs -o size=2m tmpfs "$images/small" 2>/dev/null || return 1
    truncate -s 64M "$images/small/disk" && blkback-vbd --check "$images/small/disk" >&2 && return 0
    undo
    return 1
}
make_ext4() {
    truncate -s 16M "$images/ext4" && mkfs.ext4 -q -O ^has_journal "$images/ext4" &&
        mount -o loop "$images/ext4" "$images/small" 2>/dev/null && truncate -s 64M "$images/small/disk"
}
make_tmpfs || make_ext4 || skip_all "no small file system can be mounted"
image=$images/small/disk
size=$(($(df --output=size -k "$images/small" | tail -n 1) * 2))

check "the disk is served" serve "$image"
guest_open
tell "write 0 88 pattern=seed:1" flush
check "there is space at first" hear "flush: status 0"
# Pages: a larger write could end half way.
unheard=0
for first in $(seq 88 512 $((size + 88))); do
    for sector in $(seq "$first" 8 $((first + 504))); do
        echo "write $sector 8 pattern=2 status=any"
    done >"$work/writes"
    # Not more than the pipes take at a time.
    tell "$(cat "$work/writes")"
    hear "write $((first + 504)) 8: *" >/dev/null || unheard=$((unheard + 1))
done 2>/dev/null
is "$unheard" 0 "each write ends, one way or the other"
tell "write 100000 8 pattern=3 status=-1" \
    "read 0 88 expect=seed:1" "write 0 88 pattern=seed:4" "read 0 88 expect=seed:4"
check "then a write is an ERROR" hear "write 100000 8: status -1"
check "what was there before is read" hear "read 0 88: status 0 data ok"
check "and can be overwritten" hear "read 0 88: status 0 data ok"
tell flush
check "flushing is not in question" hear "flush: status 0"

fallocate --punch-hole --offset $((1024 * 1024)) --length 512K "$image"
tell "write 100000 8 pattern=5" flush "read 100000 8 expect=5"
check "with space the same write works" hear "read 100000 8: status 0 data ok"
exits 0 "nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
is "$(grep -c 'a write to the storage failed: No space left on device' "$log")" 1 "one line in the log says why"
assert_clean
done_testing
