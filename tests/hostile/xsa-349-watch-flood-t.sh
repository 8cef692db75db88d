#!/bin/bash
# A guest that writes its nodes as fast as it can: of all but its state the worker hears nothing; of that it looks at
# the last, not at each, keeps nothing, and serves meanwhile (XSA-349).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# What the address sanitizer keeps of freed memory is none that the worker holds.
export ASAN_OPTIONS="${ASAN_OPTIONS:-}:quarantine_size_mb=1:thread_local_quarantine_size_kb=64"

# Of the main thread and of the one that hears xenstored: how often they went to sleep
sleeps() {
    cat "/proc/$worker"/task/*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }'
}

# In kB, of memory that no file is behind
memory() {
    awk '/^RssAnon/ { print $2 }' "/proc/$worker/status"
}

# flood NODE VALUE...: a guest that writes 2000 times between two requests; sets slept to what that took of the worker
flood() {
    local before

    for _ in $(seq $((2000 / ($# - 1)))); do
        printf "node $1 %s\n" "${@:2}"
    done >"$work/flood"
    before=$(sleeps)
    guest_io "write 0 8 pattern=1" - "read 0 8 expect=1" <"$work/flood" >/dev/null || return 1
    slept=$(($(sleeps) - before))
}

quiet() {
    local before

    before=$(sleeps)
    guest_io "write 0 8 pattern=1" "read 0 8 expect=1" || return 1
    usual=$(($(sleeps) - before))
}

check "the disk is served" serve "$(new_image disk 1M)"
check "a guest comes and goes" quiet
check "... and again" quiet
# Not what it has connected with: a guest that changes that has started over (xenstore/STATES.md), and is looked at.
for nodes in "feature-large-sector-size 0 1" "ring-ref7 1 2 3 4" "flood/deep/in/here a b"; do
    # shellcheck disable=SC2086 # words
    check "2000 writes of ${nodes%% *}" flood $nodes
    [ "$slept" -le $((usual + 1000)) ]
    ok $? "... wake nobody: the worker slept $slept times in all, without them $usual"
done
# Each is an event. However many have come, one look is enough; how many come between two looks is up to the machine.
check "2000 writes of the state that it has" flood state 4
kilobytes=$(memory)
check "... and as many again" flood state 4
[ "$slept" -le $((usual + 2000 * 20)) ]
ok $? "... each a look at a few nodes at most: it slept $slept times"
grown=$(($(memory) - kilobytes))
# Of 2000 events not 64 bytes each. With the address sanitizer's own needs that cannot be told: it looks for leaks itself.
allowed=128
[ "${BLKBACK_BUILD##*/}" != asan ] || allowed=4096
[ "$grown" -le "$allowed" ]
ok $? "... of which it keeps nothing: $grown kB more memory, of $kilobytes"
check "a correct guest connects" guest_io "read 0 8 expect=1"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
