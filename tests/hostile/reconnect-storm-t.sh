#!/bin/bash
# A frontend that changes its state as fast as it can, in any order, with and without keys, and guests that
# are killed at every moment of the handshake: then a correct one connects, and nothing has piled up (XSA-350).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

descriptors() {
    find "/proc/$worker/fd" -mindepth 1 | wc -l
}

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
check "a guest connects" guest_io "write 0 8 pattern=1"
before=$(descriptors)

RANDOM=350
for _ in $(seq 300); do
    case $((RANDOM % 4)) in
        0) as_guest xenstore-write device/vbd/51712/ring-ref $((RANDOM % 64)) device/vbd/51712/state 3 ;;
        1) as_guest xenstore-write device/vbd/51712/event-channel $((RANDOM % 8)) device/vbd/51712/state 4 ;;
        *) as_guest xenstore-write device/vbd/51712/state $((RANDOM % 10)) ;;
    esac
done
check "the worker has survived 300 random states" kill -0 "$worker"
check "a correct guest connects" guest_io "read 0 8 expect=1"

for _ in $(seq 20); do
    as_guest timeout -s KILL 0.0$((RANDOM % 50 + 10)) blkfront-io "read 0 8" "read 0 8" reopen "read 0 8" reopen
done >/dev/null 2>&1
check "the worker has survived 20 killed guests" kill -0 "$worker"
check "a correct guest connects" guest_io "read 0 8 expect=1"
is "$(descriptors)" "$before" "no descriptor has piled up"
lines=$(wc -l <"$log")
[ "$lines" -le 300 ]
ok $? "$lines log lines"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
