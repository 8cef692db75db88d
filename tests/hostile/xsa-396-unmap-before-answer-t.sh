#!/bin/bash
# When a request is answered, nothing of it is mapped any more, unless the frontend has offered to leave its pages:
# whoever grants pages for one request only can take them back at once, always (XSA-396, D8).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Pages of domain 5 that dom0 has mapped, without the page that xenstored has
mapped() {
    xensim counters | sed -n "s/^domain $domid: .* shared \([0-9]*\) mapped.*/\1/p"
}

requests() {
    local i

    for i in $(seq 60); do
        echo "async write $((i * 8)) 8 pattern=$i"
        echo "async read $((i * 8 + 1024)) 80"
        echo "async write 2048 200 pattern=$i"
        echo "async read 4096 1000"
        [ $((i % 6)) != 0 ] || printf '%s\n' "async flush" "async barrier 0 8" "async discard 0 8" wait
    done
    echo wait
}

check "the disk is served" serve "$(new_image disk 4M)"
idle=$(mapped)
requests >"$work/requests"
for guest in --protocol=x86_64-abi "--protocol=x86_32-abi --ring-order=2 --first-sect=3"; do
    # shellcheck disable=SC2086 # options are words
    guest_open --persistent=0 --grant-per-request=1 --indirect=256 $guest
    tell "$(cat "$work/requests")" stats
    said=$(hear "stats:*")
    like "$said" "* still-mapped=0 *" "$guest: no page is mapped when its request is answered"
    like "$said" "* revoked=[1-9][0-9][0-9][0-9]*" "$guest: thousands were taken back"
    ring=1
    [[ $guest != *ring-order=2* ]] || ring=4
    is "$(mapped)" $((idle + ring)) "$guest: only the ring is mapped"
    exits 0 "$guest: nothing was wrong" guest_close
    is "$(mapped)" "$idle" "$guest: not even that at the end"
done
# Those that may stay mapped are let go of before the disk is Closed.
guest_io "write 0 800 pattern=1" "read 0 800 expect=1" close stats >"$work/said"
like "$(grep stats: "$work/said")" "* still-mapped=0 *" "persistent pages are let go of in time"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
