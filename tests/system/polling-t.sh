#!/bin/bash
# poll=: whether a worker looks for work before it sleeps. It does what it was told, answers the same either way, and an idle disk does
# not look at all, however it is set.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
unset XENSIM_NODES

# total NAME
total() {
    blkbackctl --json show "$domid/xvda" 2>/dev/null | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

# One request after the other, each of which the worker waits for; all are checked.
work_through() {
    guest_open
    tell "write 0 88 pattern=3" "write 88 8 pattern=4"
    for _ in $(seq 50); do
        tell "read 0 88 expect=3" "read 88 8 expect=4"
    done
    tell info
    check "... the guest reads what it wrote" hear "info:*"
}

looks_no_more() {
    local before

    before=$(total looks)
    worker_is_quiet && [ "$(total looks)" = "$before" ]
}

image=$(new_image disk 4M)
while read -r options looks; do
    check "$options: the disk is served" serve "$image,$options"
    work_through
    is "$(($(total looks) > 0))" "$looks" "... it has looked for work: $looks"
    is "$(($(total looks_found) > 0))" "$looks" "... and found some"
    is "$(($(total looks_ns) > 0))" "$looks" "... which took some time"
    check "... the idle disk looks no more" eventually looks_no_more
    exits 0 "... nothing was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
done <<'TABLE'
poll=off 0
poll=10000 1
poll=10000,poll-budget=800 1
TABLE

# Node values no script of ours would write.
while read -r node value; do
    check "$node '$value': the disk is served" serve "$image" "--set=$node=$value"
    refuses "... a guest is not let in" guest_io "read 0 8"
    like "$(xenstore-read "$be/hotplug-error")" "*/$node' is malformed: it is *" "... and hotplug-error says why"
    check "... the disk detaches" detach xvda
    check "... the worker ends" eventually eval "! kill -0 $worker 2>/dev/null"
    ended "$worker"
done <<'TABLE'
poll on
poll 10001
poll -1
poll-budget 0
poll-budget 801
poll-budget half
TABLE
assert_clean
done_testing
