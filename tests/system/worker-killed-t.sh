#!/bin/bash
# A worker that is killed in the middle of I/O: the host is clean, the guest waits and lives, and after a
# forced detach the same disk can be attached again.
#
#   16 writes in the storage -> KILL -> the storage ends them, the worker is gone -> nothing was answered
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# The storage holds writes as long as it is told to: see recordfs.c.
storage=$images/storage
start_storage() {
    mkdir "$storage" && mkfifo "$work/orders" "$work/answers" || return 1
    exec {orders}<>"$work/orders" {answers}<>"$work/answers"
    lifeline
    LD_PRELOAD='' recordfs "$storage" $((16 * 1024 * 1024)) 0<"$work/orders" >"$work/answers" \
        {orders}>&- {answers}<&- &
    recordfs=$!
    held_by "$recordfs"
    [ "$(storage_says)" = ready ]
}

storage_says() {
    local line

    read -r -t "$deadline" -u "$answers" line && echo "$line"
}

order() {
    echo "$*" >&"$orders"
    [ "$(storage_says)" = ok ]
}

# It unmounts with the end of its input.
stop_storage() {
    exec {orders}>&-
    ended "$recordfs"
}

undo() {
    exec {orders}>&-
    umount -l "$storage" 2>/dev/null
}

[ -w /dev/fuse ] || skip_all "/dev/fuse cannot be opened: the storage of this test is a FUSE file system"
check "there is a storage" start_storage
check "the disk is served" serve "$storage/image"
guest_open
tell "write 0 88 pattern=seed:1" flush
check "a guest writes" hear "flush: status 0"
check "the storage holds writes from now on" order hold write
for i in $(seq 16); do
    tell "async write $((i * 88)) 88 pattern=seed:2"
done
check "16 more are under way" order await write 17 $((deadline * 1000))
tell stats
check "and not answered" hear "stats: requests=18 responses=2 *"
kill -KILL "$worker"
# The kernel does not let a process go while its I/O is.
check "the storage ends them" order pass write
exits 137 "the worker is killed" ended "$worker"
# The guest's own handles are as they should be; dom0 has none but the host's.
is "$(xensim counters | grep -c '^handle .*: domain 0, pid [0-9]*,.* [1-9][0-9]* mapped')" 0 \
    "nothing is mapped on its behalf"
check "nobody holds its pid file" flock -n "$BLKBACK_RUNDIR/vbd-5-51712.pid" true

tell stats
check "the guest lives; nothing is answered" hear "stats: requests=18 responses=2 *"
# As long as nobody answers, a toolstack waits: here not for the sake of a slow disk.
XENSIM_STATE_SECONDS=1 check "the disk can be detached by force" detach xvda --force
refuses "the guest's requests end with an error" guest_close
rm -f "$log"
check "the disk is attached again" serve "$storage/image"
check "it works, and what was flushed is there" guest_io "read 0 88 expect=seed:1" "write 88 88 pattern=seed:3" \
    "read 88 88 expect=seed:3" flush
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
exits 0 "the storage ends" stop_storage
assert_clean killed
done_testing
