#!/bin/bash
# A guest that is killed in the middle of its I/O, and then destroyed: the worker lets go of everything by
# itself and ends.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Verified I/O through NBD; a filter tells each request, which is how we know that it is under way.
start_guest() {
    # Opened for both: that waits for nobody.
    mkfifo "$work/requests" && exec {requests}<>"$work/requests" || return 1
    launch as_guest nbdkit -U "$work/nbd" -P "$work/nbd.pid" --filter=log "$plugin" logfile="$work/requests" "$1"
    nbdkit=$launched
    wait "$nbdkit" || return 1
    launch fio --name=busy --ioengine=nbd --uri="nbd+unix:///?socket=$work/nbd" --size=16m --rw=randrw --bs=16k \
        --iodepth=16 --time_based --runtime="$deadline" --output="$work/fio"
}

# Lines of the log tell what the guest asked for.
requests_seen() {
    local line

    for _ in $(seq "$1"); do
        read -r -t "$deadline" -u "$requests" line || return 1
    done
}

image=$(new_image disk 16M)
next=6
for transfer in persistent=1 persistent=0; do
    check "$transfer: the disk is served" serve "$image"
    check "$transfer: the guest starts" start_guest "$transfer"
    check "$transfer: it is busy" requests_seen 500
    kill -KILL "$(cat "$work/nbd.pid")"
    exec {requests}<&-
    ended "$nbdkit"
    refuses "$transfer: its programs fail with it" ended "$launched"
    check "$transfer: the worker has survived" kill -0 "$worker"
    check "$transfer: the domain is destroyed" xensim domain-destroy "$domid"
    exits 0 "$transfer: the worker ends with 0" ended "$worker"
    is "$(grep -c 'left mapped' "$log")" 0 "$transfer: and has nothing mapped"
    rm -f "$work"/requests "$work"/nbd*
    new_guest "$next"
    next=$((next + 1))
done
assert_clean
done_testing
