#!/bin/bash
# A guest that is killed at its Nth operation on xenstore, grants or event channels, for all N of a whole life: connect,
# requests of all kinds, disconnect. Each time the worker holds nothing of it afterwards, a correct guest is served by
# the same worker, and, every VANISH_REATTACH times (16), the disk detaches and is attached again (CVE-2010-3699, XSA-371).
# Of a second kind of guest only each VANISH_STRIDE-th step (4) is one's last: `make check-soak` goes through all.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

reattach=${VANISH_REATTACH:-16}
stride=${VANISH_STRIDE:-4}
image=$(new_image disk 1M)

# live N OPTION...: a life that ends at the Nth operation; 137 if it got as far as that
live() {
    as_guest env MORTAL_PROGRAM=blkfront-io MORTAL_AT="$1" LD_PRELOAD="$BLKBACK_BUILD/lib/libmortal.so:$LD_PRELOAD" \
        timeout --foreground "$deadline" blkfront-io "${@:2}" "async write 0 8 pattern=1" "async write 8 200 pattern=2" \
        wait flush "discard 1024 8" "async read 8 200" "read 0 8" >"$work/last_words" 2>&1
}

# What a killed guest has written may be looked at after it has died: its ring is not there any more, and who comes just
# then may be refused, once.
correct_guest() {
    guest_io "$@" >"$work/said" 2>&1 || { grep -q refused "$work/said" && guest_io "$@" >&2; }
}

# What the worker holds: its threads, descriptors, ports and pages
held() {
    local fds=(/proc/"$worker"/fd/*) tasks=(/proc/"$worker"/task/*)

    echo "${#fds[@]} descriptors, ${#tasks[@]} threads, $(xensim counters | grep -E "pid $worker,|^domain $domid:")"
}

served_again() {
    check "$1: the disk detaches" detach xvda
    exits 0 "$1: the worker ends with 0" ended "$worker"
    check "$1: it is attached again" serve "$image"
}

# die_at_every_step STRIDE OPTION...: sets nr_steps to the first that is not reached
die_at_every_step() {
    local before status n

    correct_guest "write 0 8 pattern=3" || return 1
    before=$(held)
    for ((n = 1; n < 1000; n += $1)); do
        live "$n" "${@:2}"
        status=$?
        nr_steps=$n
        [ "$status" = 137 ] || break
        correct_guest "read 1032 8 expect=0" "write 0 8 pattern=3" "read 0 8 expect=3" || return 1
        if [ "$(held)" != "$before" ]; then
            say "killed at $n: $(held); before: $before"
            return 1
        fi
        if [ $((n % reattach)) = 0 ]; then
            served_again "${*:2}, $n"
            correct_guest "read 0 8 expect=3" || return 1
            before=$(held)
        fi
    done
    [ "$status" = 0 ]
}

check "the disk is served" serve "$image"
while read -r every guest; do
    # shellcheck disable=SC2086 # options are words
    die_at_every_step "$every" $guest
    ok $? "$guest: killed at every step, nothing is left"
    [ "$nr_steps" -ge 50 ]
    ok $? "$guest: there were $nr_steps steps, each ${every}th was the last"
done <<TABLE
1 --persistent=1
$stride --persistent=0 --grant-per-request=1 --protocol=x86_32-abi --ring-order=1
TABLE
is "$(grep -c 'left mapped' "$log")" 0 "nothing was left mapped"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
