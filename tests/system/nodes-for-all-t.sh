#!/bin/bash
# A run of tests can choose the engine of all disks, and how their workers look for work (BLKBACK_ENGINE, BLKBACK_POLL): it arrives at
# disks whose test has not chosen, and at no other.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
unset BLKBACK_ENGINE BLKBACK_POLL XENSIM_NODES

# in_host_with SETTING... -- COMMAND...: in a host of its own, which is not ours
in_host_with() {
    local settings=()

    while [ "$1" != -- ]; do
        settings+=("$1")
        shift
    done
    env -u LD_PRELOAD "${settings[@]}" "$tree/tests/lib/in-host" "${@:2}"
}

# disk_of_host OPTION...: what a disk of such a host has of these nodes
disk_of_host() {
    xensim domain-create 5
    xensim vbd-attach --no-script "$@" 5 xvda /none
    for node in engine poll poll-budget; do
        xenstore-read "/local/domain/0/backend/vbd/5/51712/$node" 2>/dev/null || echo -
    done | paste -sd' '
    # Nobody serves it, so nobody is waited for.
    xenstore-rm /local/domain/0/backend /local/domain/5/device/vbd /libxl/5/device/vbd
    xensim domain-destroy 5
}

while IFS='|' read -r settings options nodes; do
    # shellcheck disable=SC2086 # words
    is "$(in_host_with $settings -- bash -c "$(declare -f disk_of_host); disk_of_host $options")" "$nodes" "'$settings', a disk with '$options': $nodes"
done <<'TABLE'
||- - -
BLKBACK_ENGINE=io_uring||io_uring - -
BLKBACK_POLL=1000||- 1000 800
BLKBACK_ENGINE=aio BLKBACK_POLL=off||aio off 800
BLKBACK_ENGINE=io_uring BLKBACK_POLL=1000|--set=engine=aio|aio 1000 800
BLKBACK_ENGINE=io_uring BLKBACK_POLL=1000|--set=poll=auto --set=poll-budget=1|io_uring auto 1
XENSIM_NODES=poll=7 BLKBACK_ENGINE=aio||aio 7 -
TABLE
refuses "what is no node is refused" env XENSIM_NODES="poll=1000 800" xensim vbd-attach --no-script "$domid" xvda /none

# show NAME...: what blkbackctl says of them
show() {
    blkbackctl --json show "$domid/xvda" | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

export XENSIM_NODES='poll=10000 poll-budget=800'
new_image disk 1M >&2
while read -r name looks; do
    check "a disk '$name' is served" serve "$images/$name"
    guest_open
    tell "write 0 8 pattern=3" "read 0 8 expect=3" info
    check "... to a guest" hear "info:*"
    is "$(($(show looks) > 0))" "$looks" "... whose worker looks for work: $looks"
    exits 0 "... nothing was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
done <<'TABLE'
disk 1
disk,poll=off 0
TABLE
assert_clean
done_testing
