#!/bin/bash
# OVMF: its keys and 4 in one transaction; a ring-ref0 that somebody else has left is not its own; polls; a barrier and
# a flush at the end; then waits for exactly 5 and exactly 6, and takes anything beyond for a failure.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
as_guest xenstore-write device/vbd/51712/ring-ref0 4711
for round in 1 2; do
    persona_open ovmf
    tell start "write 0 1000 seed:$round" "read 0 1000 seed:$round" sync
    check "round $round: OVMF writes, reads, and makes it durable" hear "sync: done"
    is "$(xenstore-read "$fe/state" "$be/state" | paste -sd' ')" "4 4" "... both are Connected"
    check "... of the pages of its requests the worker has none" let_go
    tell stop
    check "... it goes: 5, 5, 6, 6, 1" hear "stop: done"
    check "... the worker has let go of the ring, too" let_go
    is "$(xenstore-list "$fe" | grep -c -e '^ring-ref$' -e event -e protocol)" 0 "... it has removed its keys"
    check "... the next driver can come" handed_over
    exits 0 "... nothing else was wrong" guest_close
done
is "$(xenstore-read "$fe/ring-ref0")" 4711 "what was left there still is"
is "$(grep -c ' flushes=2 barriers=2 ' "$log")" 2 "a barrier and a flush each time: of sync, and of the end"
exits 1 "a device that is not new is none for OVMF" eval \
    'persona ovmf start "write 0 1 1" "stop 2"; persona ovmf start'
check "... for one that starts anew it is" soft_reset
check "... and works" persona ovmf start "read 1 999 seed:2" "read 0 1 1" stop
check "... the next driver can come" handed_over
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
