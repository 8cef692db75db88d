#!/bin/bash
# A hundred disks at once under one blkbackd: all attached, all under verified load, a third of the workers killed at
# random, all detached. Nothing is left over. Prints what an idle worker costs in memory.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

nr=${HUNDRED_DISKS:-100}
deadline=60
domids=$(seq 101 $((100 + nr)))
names=$(for id in $domids; do echo "vbd-$id-51712"; done)

# each N COMMAND...: for every domain, N at a time, as COMMAND DOMID; prints for which it failed
each() {
    local id

    for id in $domids; do
        while [ "$(jobs -pr | wc -l)" -ge "$1" ]; do wait -n; done
        { "${@:2}" "$id" >&2 || echo "$id"; } &
    done
    wait
}

make_guest() {
    xensim domain-create "$1" && truncate -s 4M "$images/disk$1"
}

attach_one() {
    xensim vbd-attach --wait-initwait --script="$script" "$1" xvda "$images/disk$1"
}

# Some writes of its own pattern, flushed, read back.
load_one() {
    domid=$1 guest_io "write 0 88 pattern=seed:$1" "write 4000 88 pattern=seed:$1" flush \
        "read 0 88 expect=seed:$1" "read 4000 88 expect=seed:$1"
}

verify_one() {
    domid=$1 guest_io "read 0 88 expect=seed:$1" "read 4000 88 expect=seed:$1"
}

detach_one() {
    xensim vbd-detach "$1" xvda
}

destroy_one() {
    xensim domain-destroy "$1"
}

# memory FIELD...: their sum over all workers, in KiB
memory() {
    local pid

    for pid in $workers; do cat "/proc/$pid/smaps_rollup"; done |
        awk -v what="$*" 'BEGIN { split(what, w); for (i in w) is[w[i] ":"] = 1 } $1 in is { sum += $2 } END { print sum + 0 }'
}

descriptors() {
    find "/proc/$supervisor/fd" | wc -l
}

xensim domain-destroy 5
configure "restart-delay-min = 10ms"
is "$(each 4 make_guest)" "" "$nr guests are made"
check "blkbackd runs" supervise
descriptors=$(descriptors)
is "$(each 4 attach_one)" "" "$nr disks attach, 4 at a time, InitWait first"
check "all are served" told "STATUS=$nr disks served*"
workers=$(for name in $names; do worker_of "$name"; done)
is "$(echo "$workers" | sort -u | wc -l)" "$nr" "each has a worker of its own"
pss=$(memory Pss)
private=$(memory Private_Dirty Private_Clean)
say "memory per idle worker: $((pss / nr)) KiB proportional (Pss), $((private / nr)) KiB private;" \
    "blkbackd: $(awk '$1 == "Pss:" { print $2 }' "/proc/$supervisor/smaps_rollup") KiB Pss"
echo "# memory per idle worker: $((pss / nr)) KiB Pss, $((private / nr)) KiB private"

is "$(each 10 load_one)" "" "all are used, 10 at a time, and what is read is what was written"

victims=$(echo "$workers" | shuf -n $((nr / 3)))
# shellcheck disable=SC2086 # a list of processes
kill -KILL $victims
check "a third of the workers is killed: each is started again" logged "*worker * started" $((nr + nr / 3))
is "$(count "*was killed by signal 9*another is started in 10 ms")" $((nr / 3)) "each death is told once"
check "all are served" told "STATUS=$nr disks served, 0 ending, 0 waiting for a restart, 0 given up"
is "$(each 10 verify_one)" "" "all disks have what was written"

is "$(each 20 detach_one)" "" "all detach"
check "blkbackd forgets all" told "STATUS=0 disks served, 0 ending, 0 waiting for a restart, 0 given up"
is "$(count "*error:*")" 0 "nothing was given up"
is "$(find "$BLKBACK_RUNDIR" -name 'vbd-*.pid')" "" "no worker is left"
is "$(descriptors)" "$descriptors" "no descriptor of blkbackd's is left"
is "$(each 4 destroy_one)" "" "all guests are destroyed"
exits 0 "blkbackd ends with 0" unsupervise
assert_clean killed
done_testing
