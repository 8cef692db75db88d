#!/bin/bash
# A frontend that changes its state as fast as it can, in any order, with and without keys, and guests that
# are killed at every moment of the handshake: then a correct one connects, and nothing has piled up (XSA-350).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

descriptors() {
    find "/proc/$worker/fd" -mindepth 1 | wc -l
}

started=$SECONDS
image=$(new_image disk 1M)
check "the disk is served" serve "$image"
check "a guest connects" guest_io "write 0 8 pattern=1"
before=$(descriptors)

# What was written last may make the worker close once more, and refuse who comes meanwhile.
RANDOM=350
for _ in $(seq 300); do
    case $((RANDOM % 4)) in
        0) as_guest xenstore-write device/vbd/51712/ring-ref $((RANDOM % 64)) device/vbd/51712/state 3 ;;
        1) as_guest xenstore-write device/vbd/51712/event-channel $((RANDOM % 8)) device/vbd/51712/state 4 ;;
        *) as_guest xenstore-write device/vbd/51712/state $((RANDOM % 10)) ;;
    esac
done
check "the worker has survived 300 random states" kill -0 "$worker"
check "a correct guest connects" eventually guest_io "read 0 8 expect=1"

# Waits for more commands in the end, which never come. (What is redirected for a function does not reach what that
# starts in the background.)
come_and_go() {
    exec_guest blkfront-io "read 0 8" "read 0 8" reopen "read 0 8" reopen - <&67
}

# kill_after N: a guest that connects, leaves and comes again is killed when the Nth of its nodes and the
# backend's states has changed. It makes about forty. Sets met to killed, or to refused: the backend may
# have met the state and the keys that the guest before left, and be Closing when this one comes.
kill_after() {
    local fd watcher reached=0 until=$((SECONDS + deadline))

    exec {fd}< <(exec xenstore-watch "$fe" "$be/state")
    watcher=$!
    read -r -t "$deadline" -u "$fd" _ && read -r -t "$deadline" -u "$fd" _ # at registration
    launch come_and_go >"$work/last_words" 2>&1
    # One that was refused is gone, and changes nothing more.
    while [ "$reached" -lt "$1" ] && [ "$SECONDS" -lt "$until" ] && kill -0 "$launched" 2>/dev/null; do
        read -r -t 1 -u "$fd" _ && reached=$((reached + 1))
    done
    kill -KILL "$watcher"
    kill -KILL "$launched" 2>/dev/null
    exec {fd}<&-
    ended "$launched" 2>/dev/null
    if [ $? = 137 ] && [ "$reached" = "$1" ]; then
        met=killed
    elif grep -q refused "$work/last_words"; then
        met=refused
    else
        met=nothing
        say "after $reached changes of $1: $(cat "$work/last_words")"
    fi
}

killed=0
for i in $(seq 20); do
    kill_after $((i * 3 / 2))
    [ "$met" = killed ] && killed=$((killed + 1))
    [ "$met" != nothing ] || break
done
[ "$met" != nothing ]
ok $? "20 guests are killed, each at another moment, or refused"
[ "$killed" -ge 10 ]
ok $? "... most of them killed: $killed"
check "the worker has survived" kill -0 "$worker"
check "a correct guest connects" eventually guest_io "read 0 8 expect=1"
is "$(descriptors)" "$before" "no descriptor has piled up"
# 8 lines in 10 seconds, which begin with a line: backend/util/limits.h. 300 states and 23 guests made more.
limit=$((8 * ((SECONDS - started + 1) / 10 + 1)))
for kind in "connected:" "served" "the frontend is refused"; do
    lines=$(grep -c ": $kind" "$log")
    [ "$lines" -le "$limit" ]
    ok $? "$lines log lines with '$kind'"
done
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
