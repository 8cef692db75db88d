#!/bin/bash
# What a ring costs: one of 16 pages costs an idle worker little more than one of a single page (limits.h).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# anonymous memory of the worker, in KiB
memory() {
    awk '$1 == "RssAnon:" { print $2 }' "/proc/$worker/status"
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

guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
