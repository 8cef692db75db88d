#!/bin/bash
# The guest that measures does what it says: so many I/Os on each disk, of several requests where they are larger than one, and it
# leaves nothing behind. No figure of time is looked at.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# measure OPTION...: its JSON
measure() {
    as_guest timeout "$deadline" blkfront-bench --json "$@" >"$work/json"
}

# value KEY: of all disks together
value() {
    sed -n "s/.*\"$1\": \([0-9.]*\).*/\1/p" "$work/json"
}


ios_of() {
    grep -o "\"vdev\": \"$1\", \"ios\": [0-9]*" "$work/json" | grep -o '[0-9]*$'
}

for disk in xvda xvdb; do
    check "$disk attaches" attach "$disk" "$(new_image "$disk" 16M)"
done

check "two disks, 100 I/Os each" measure --vdev=xvda,xvdb --op=randwrite --iodepth=4 --count=100
is "$(value ios)" 200 "200 in all"
is "$(ios_of xvda) $(ios_of xvdb)" "100 100" "100 on each"
is "$(value failed)" 0 "none failed"

check "1 MiB at a time, indirect" measure --vdev=xvda --op=read --bs=1M --indirect=256 --count=16 --iodepth=2
is "$(value ios) $(value requests)" "16 16" "a request for each"
check "1 MiB at a time, 11 segments" measure --vdev=xvda --op=write --bs=1M --indirect=0 --count=16 --iodepth=2
is "$(value ios) $(value requests)" "16 384" "24 requests for each, also where the ring has 32 slots"
check "without persistent grants, 128k, 4k of which are another request" \
    measure --vdev=xvdb --op=randread --bs=132k --persistent=0 --count=64
is "$(value ios) $(value requests)" "64 128" "two requests for each"

check "a flush after every 4 of 99 I/Os, in 3 streams" measure --vdev=xvda --op=randwrite --streams=3 --fsync=4 --count=99
is "$(($(value ios) + $(value flushes)))" 99 "99 in all"
# The streams share the count as chance has it: each begins a flush after each fourth of its own.
like "$(value flushes)" "1[789]" "a fifth of them are flushes"

check "a processor's time is looked at" measure --vdev=xvda --count=100 --backend-pid="$$"
like "$(value backend_cpu_us_per_io)" "?*" "and told"
refuses "a disk that there is none of" measure --vdev=xvda,xvdq --count=1
exits 2 "a list that is none" measure --vdev=xvda,
exits 2 "no size of an I/O" measure --bs=1000

for disk in xvda xvdb; do
    check "$disk detaches" detach "$disk"
done
assert_clean
done_testing
