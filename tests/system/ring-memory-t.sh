#!/bin/bash
# What a ring costs: one of 16 pages costs an idle worker little more than one of a single page; what a burst of
# copied requests has taken is given back when the burst is over (limits.h).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# anonymous memory of the worker, in KiB
memory() {
    awk '$1 == "RssAnon:" { print $2 }' "/proc/$worker/status"
}

is_below() {
    [ "$(memory)" -lt "$1" ]
}

# open_ring OPTION...: a guest that is connected
open_ring() {
    guest_open "$@"
    tell "read 0 8"
    hear "read 0 8: status 0*" >/dev/null
}

case ${BLKBACK_BUILD##*/} in
asan | tsan) skip_all "a sanitizer keeps memory for itself" ;;
esac

image=$(new_image disk 32M)
check "the disk is served" serve "$image"
check "a ring of one page" open_ring --persistent=0
small=$(memory)
guest_close
check "a ring of 16 pages" open_ring --persistent=0 --ring-order=4
idle=$(memory)
say "one page: $small KiB, 16 pages: $idle KiB"
[ $((idle - small)) -lt 300 ]
ok $? "an idle one of 16 costs little more than one of one: $((idle - small)) KiB"

# All slots at once, each with 11 pages: the worker stands still until they are there.
stop_worker
for i in $(seq 512); do
    echo "async write $((i * 88)) 88 pattern=$((i % 256))"
done >"$work/writes"
tell "$(cat "$work/writes")" "async write 0 8" stats
hear "stats: *" >/dev/null
kill -CONT "$worker"
tell wait "read 88 88 expect=1"
check "a burst of 512" hear "read 88 88: status 0 data ok"
say "after the burst: $(memory) KiB"
[ "$(memory)" -gt $((idle + 5000)) ]
ok $? "has taken memory, or this shows nothing"
check "... and is given back, but for what a ring of one page may have" eventually is_below $((idle + 1500))
check "... the ring goes on" tell "write 0 88 pattern=7" "read 0 88 expect=7"
check "... as before" hear "read 0 88: status 0 data ok"
guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
