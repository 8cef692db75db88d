#!/bin/bash
# Grants and ports that were given back last are given first, so that a driver's keys may be the very numbers of the one before.
# A guest that is resumed in place writes nothing but the same keys and 3, being Connected; that is how it is known to have
# started over. Of one that was refused each new word is: GRUB asks for nothing.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

# connected TIMES: that often the worker has taken a ring
connected() {
    [ "$(grep -c ' connected: ' "$log")" = "$1" ]
}

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
persona_open linux
tell start
check "the guest is Connected" hear "start: done"
check "the worker has seen it" eventually worker_is_quiet
# A ring that nothing has been done on is as good as new.
for i in 2 3; do
    as_guest xenstore-write device/vbd/51712/state 3
    check "it is Initialised again: a connection of its own" eventually connected "$i"
    check "... the worker is Connected" await "$be/state" 4
    as_guest xenstore-write device/vbd/51712/state 4
    check "... so is the guest" eventually worker_is_quiet
done
tell "write 0 1000 seed:1" "read 0 1000 seed:1" stop
check "it writes and reads" hear "stop: done"
connected 3
ok $? "nothing else has made the worker begin again"
exits 0 "nothing else was wrong" guest_close

# keys: those of the guest
keys() {
    as_guest xenstore-read device/vbd/51712/ring-ref device/vbd/51712/event-channel
}

# A GRUB that is killed behind its keys: they tell what the next one will get.
dies_behind_its_keys() {
    persona grub "start 5" die
    [ $? -eq 137 ] && [ "$(xenstore-read "$fe/state")" = 3 ]
}

# refused: how often, as the log says
refused() {
    grep -c "is refused" "$log"
}

check "a driver begins" soft_reset
check "... the worker is slow" stop_worker
check "... it writes its keys, and is gone with its grants" dies_behind_its_keys
before=$(keys)
kill -CONT "$worker"
check "the worker refuses it" await "$be/state" 5
check "... and waits" eventually worker_is_quiet
is "$(refused)" 1 "... for the next word"
persona_open grub
tell start "read 0 1000 seed:1"
check "another one is served" hear "read 0 1000 seed:1: done"
is "$(keys)" "$before" "... whose keys are the same"
tell stop
exits 0 "... and goes" guest_close

# The next one comes before the last one is refused.
check "the worker ends" detach xvda
exits 0 "... with 0" ended "$worker"
export TRIP_STOP_GRANTS=$work/stop-grants
trip TRIP_STOP_GRANTS
check "another worker" tripping serve "$image"
check "... finds a driver that has written its keys and is gone" dies_behind_its_keys
check "... is about to map its ring" eventually worker_is_stopped
check "... while the next driver begins" as_guest xenstore-write device/vbd/51712/state 1
untrip TRIP_STOP_GRANTS
refusals=$(refused)
kill -CONT "$worker"
check "... and goes on" eventually worker_is_quiet
is "$(xenstore-read "$be/state")" 2 "... and does not refuse it for the other one's keys"
is "$(refused)" "$refusals" "... nor says so"
check "the next driver is served" persona linux start "read 0 1000 seed:1" stop

# That the watch begins is no word of the guest's.
check "a driver begins" soft_reset
kill -KILL "$worker"
exits 137 "the worker is killed" ended "$worker"
check "... and the driver behind its keys" dies_behind_its_keys
refusals=$(refused)
check "the next worker" start_worker
check "... refuses it" await "$be/state" 5
check "... and waits" eventually worker_is_quiet
is "$(refused)" $((refusals + 1)) "... for the guest's next word"
check "a driver is served" persona grub start "read 0 1000 seed:1" stop
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean killed
done_testing
