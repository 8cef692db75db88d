#!/bin/bash
# A hundred connections in one worker's life: after each one the guest's grants are let go, and at the end
# the worker has as many descriptors and threads as at the start.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

descriptors() {
    find "/proc/$worker/fd" -mindepth 1 | wc -l
}

# Without the kernel's own that do what io_uring cannot do at once: they come and go.
threads() {
    cat "/proc/$worker/task"/*/comm 2>/dev/null | grep -c -v '^iou-wrk-'
}

# A thread that was joined may be in the list for a moment.
piled_up() {
    echo "$(descriptors) descriptors, $(threads) threads"
}

nothing_piled_up() {
    [ "$(piled_up)" = "$before" ]
}

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
nr_maps=$(counter grants_mapped)
guest_open
tell "write 0 8 pattern=1"
check "the first connection works" hear "write 0 8: status 0"
before=$(piled_up)

failures=0
left=0
for i in $(seq 100); do
    tell close
    hear "close: backend Closed" >/dev/null || failures=$((failures + 1))
    [ "$(counter grants_mapped)" = "$nr_maps" ] || left=$((left + 1))
    tell connect "write 0 8 pattern=$i" "read 0 8 expect=$i"
    hear "read 0 8: status 0 data ok" >/dev/null || failures=$((failures + 1))
done 2>/dev/null
is "$failures" 0 "a hundred connections work"
is "$left" 0 "no grant is mapped between them"
eventually nothing_piled_up
is "$(piled_up)" "$before" "nothing has piled up in the worker"
exits 0 "nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
