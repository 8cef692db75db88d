#!/bin/bash
# A disk with mode r is not written: the storage is open for reading only (XSA-142, XSA-266), and every
# request with data for it is refused (R12). Empty flushes and barriers are fine.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 4M)
qemu-io -f raw -c "write -P 7 0 4M" "$image" >&2
before=$(sha256sum <"$image")
check "the disk is served" serve "$image" --mode=r
guest_open
tell info
like "$(hear "info:*")" "*read-only=1*" "the guest is told"
is "$(xenstore-read "$be/info")" 4 "info is VDISK_READONLY"
flags=$(image_flags "$image")
is "$((flags & 3))" 0 "the image is open for reading only"
[ $((flags & $(printf '%d' 040000))) -ne 0 ]
ok $? "... with direct I/O"

tell "write 0 8 pattern=1 status=-1" "barrier 8 8 pattern=1 status=-1" "flush 16 8 pattern=1 status=-1" \
    flush barrier "read 0 88 expect=7" close
check "a write is refused" hear "write 0 8: status -1"
check "a barrier with data is refused" hear "barrier 8 8: status -1"
check "a flush with data is refused" hear "flush 16 8: status -1"
check "an empty flush is fine" hear "flush: status 0"
check "an empty barrier is fine" hear "barrier: status 0"
check "reading is fine" hear "read 0 88: status 0 data ok"
exits 0 "nothing else was wrong" guest_close
like "$(grep 'served ' "$log")" "* refused=3 failed=0" "it was the check that refused, not the storage"
is "$(sha256sum <"$image")" "$before" "the image has not changed"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
