#!/bin/bash
# mini-os: its keys and 4 at once, no protocol among them: that is the toolstack's, and means the 32-bit layout if there
# is none. A barrier and a flush together, both with id 0. Waits for 5 before it writes 6, for 6, and stays so.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

image=$(new_image disk 16M)
for abi in x86_64-abi x86_32-abi; do
    check "$abi: the disk is served" serve "$image"
    [ "$abi" = x86_32-abi ] || xenstore-write "$fe/protocol" "$abi"
    for round in 1 2; do
        check "... round $round: writes, reads, makes it durable, goes" persona minios start \
            "write 0 1000 seed:$round" "read 0 1000 seed:$round" sync stop
        is "$(xenstore-read "$fe/state" "$be/state" | paste -sd' ')" "6 6" "... both are Closed"
        check "... the worker has let go of its pages" let_go
    done
    is "$(grep -c " protocol=$abi " "$log")" 2 "... as $abi"
    is "$(grep -c ' flushes=2 barriers=2 ' "$log")" 2 "... a barrier and a flush: of sync, and of the end"
    persona_open minios
    tell start "read 0 1000 seed:2"
    check "... it reads" hear "read *: done"
    # It does not look at the backend while it runs.
    check "... and is destroyed" detach xvda --force
    exits 0 "... the worker ends with 0" ended "$worker"
    exits 0 "... nothing else was wrong" guest_close
    mv "$log" "$log.$abi"
done
assert_clean
done_testing
