#!/bin/bash
# SIGTERM: what was taken from the ring is done and answered, the rest is not touched, and the disk's state
# becomes Closed. What the guest heard is what the worker did and what the image has.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 16M)
check "attached" xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
for round in 1 2 3 4 5; do
    rm -f "$log"
    truncate -s 0 "$image"
    truncate -s 16M "$image"
    xenstore-write "$be/state" 1 "$fe/state" 1
    start_worker && hotplug add
    guest_open
    # A worker that was stopped meanwhile finds the signal and the requests at the same time.
    tell "read 0 1 expect=0"
    hear "read*" >/dev/null
    [ $((round % 2)) = 1 ] || check "$round: the worker is stopped" stop_worker
    for i in $(seq 0 2 28); do
        tell "async write $((i * 88)) 88 pattern=0x11 status=any" \
            "async barrier $((i * 88 + 88)) 88 pattern=0x11 status=any"
    done
    kill -TERM "$worker"
    kill -CONT "$worker"
    exits 0 "$round: the worker ends with 0" ended "$worker"
    is "$(xenstore-read "$be/state")" 6 "$round: the disk is Closed"
    guest_close
    heard=$(grep -c ': status 0' "$work/last_words")
    is "$(grep -cE '^(write|barrier) [0-9]' "$work/last_words")" 30 "$round: each request ended, one way or the other"
    served=$(grep -o 'writes=[0-9]*\|barriers=[0-9]*' "$log" | cut -d= -f2 | awk '{ n += $1 } END { print n }')
    is "$heard" "$served" "$round: what was served is what was answered"
    is "$(tr -d '\0' <"$image" | wc -c)" $((heard * 88 * 512)) "$round: and what the image has"
done
check "the disk detaches" detach xvda
assert_clean
done_testing
