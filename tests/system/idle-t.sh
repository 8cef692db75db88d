#!/bin/bash
# A guest that does nothing for a while costs nothing: no thread of its worker, nor blkbackd, wakes up, and its pages are its
# own again. When it begins to do something, the worker looks whether the disk has another size by now.
# shellcheck source=tests/lib/supervisor.sh disable=SC2016,SC2119,SC2317 # perl; functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

# What is looked for without an event is looked for 30 seconds after the last one, and pages go after 60 seconds.
deadline=150

# The worker's timer waits for nothing, and of the guest's pages only its ring is mapped.
has_calmed_down() {
    grep -q -s -x 'it_value: (0, 0)' /proc/"$worker"/fdinfo/* && [ "$(counter grants_mapped)" = "$ring" ]
}

# The threads that have run, with how often; without the kernel's own of io_uring, which look for work every five seconds.
switches() {
    local status

    for status in /proc/{"$worker","$supervisor"}/task/*/status; do
        grep -q -x 'Name:.iou-wrk-.*' "$status" || grep -h -e '^Name' -e '^Pid' -e '_ctxt_' "$status"
    done
}

image=$(new_image disk 1M)
check "blkbackd runs" supervise
check "the disk attaches" plug xvda "$image"
worker=$(worker_of vbd-5-51712)
guest_open
tell "read 0 1"
check "a guest comes" hear "read 0 1: status 0"
tell "write 0 88 pattern=1" "async write 100 88 pattern=2" "async write 200 88 pattern=3" wait flush "read 0 88 expect=1"
check "and uses it" hear "read 0 88: status 0 data ok"
ring=2 # and that of xenstored
check "nothing is waited for any more, and its pages are let go" eventually has_calmed_down
# A queue gives back, a second later, what it had for those pages.
for _ in 1 2 3; do
    before=$(switches)
    # Nobody writes there.
    read -r -t 5 -u 67 _
    [ "$(switches)" != "$before" ] || break
done
is "$(switches)" "$before" "nobody wakes up"

check "the image grows unheard" perl -e 'truncate($ARGV[0], $ARGV[1]) or die $!' "$image" 2097152
tell "read 0 8 expect=1" "await-size 4096" "write 4095 1 pattern=2" "read 4095 1 expect=2"
check "a guest that stirs is told" hear "read 4095 1: status 0 data ok"
exits 0 "nothing was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "blkbackd ends with 0" unsupervise
assert_clean
done_testing
