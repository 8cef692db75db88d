#!/bin/bash
# Windows: closes whatever there is before it begins (5, 6, 1), reads the features again when the backend is Connected,
# counts in sectors of the backend's size, grants pages for one request only, and makes an empty barrier with a
# sector of its own where no flush is offered. A suspended one has closed, and starts anew.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
is "$(xenstore-read "$be/feature-flush-cache" "$be/feature-barrier" 2>/dev/null)" "" "in InitWait no flush is offered yet"
persona_open windows
tell start info
like "$(hear "info: s*")" "* sector-size=512 flush=1 barrier=1 *" "Windows starts, and has found it later"
tell "write 0 3000 seed:1" "read 0 3000 seed:1" sync
check "it writes, reads, and makes it durable" hear "sync: done"
check "of the pages of its requests the worker has none" let_go
for i in 1 2; do
    tell "queue 0 2000 seed:$i" suspend
    check "suspended, time $i: all is answered, then 5, 6" hear "suspend: done"
    is "$(xenstore-read "$fe/state" "$be/state" | paste -sd' ')" "6 6" "... both are Closed"
    check "... the worker has let go of its pages" let_go
    tell resume info
    like "$(hear "info: s*")" "* flush=1 barrier=1 unanswered=0 *" "... it goes on: 1, 2, 3, 4"
    tell "read 0 2000 seed:$i" "read 2000 1000 seed:1"
    check "... and finds its data" hear "read 2000 *: done"
done
launch detach xvda
detaching=$launched
tell leave
check "ejected, it goes" hear "leave: done"
exits 0 "... the disk is detached" ended "$detaching"
exits 0 "... the worker ends with 0" ended "$worker"
exits 0 "... nothing else was wrong" guest_close
like "$(grep ' served ' "$log" | head -n 1)" "* flushes=1 barriers=0 *" "one flush was made, and no barrier"
rm "$log"

check "without flush: the disk is served" serve "$image" --set=features-off=flush-cache
check "... it makes empty barriers" persona windows start info "write 0 8 3" sync "read 0 8 3" sync stop
like "$(grep ' served ' "$log")" "* flushes=0 barriers=2 * failed=0" "... two of them"
exits 137 "one that is killed" persona windows start "queue 0 2000 seed:3" die
persona_open windows
tell start "write 0 2000 seed:4" "read 0 2000 seed:4"
check "... is followed by one that closes first" hear "read *: done"
tell vanish
check "surprise: the disk is removed under it" detach xvda --force
check "... it notices" hear "vanish: done"
exits 0 "... the worker ends with 0" ended "$worker"
exits 0 "... nothing else was wrong" guest_close
assert_clean
done_testing
