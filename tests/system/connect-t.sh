#!/bin/bash
# From attached to detached: what is published when, and the backend's states in exactly this order.
#
#   toolstack 1 -> worker 2 -> frontend 3, still 2 -> hotplug script, 4 -> frontend 5, 5 -> frontend 6, 6
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Every value of the state is seen: the next step is taken only when the last one has been.
exec {events}< <(exec xenstore-watch "$be/state")
watcher=$!
states=
reached() {
    local now until=$((SECONDS + deadline))

    while now=$(xenstore-read "$be/state" 2>/dev/null); [ "$now" != "${states##* }" ] || [ "$now" != "$1" ]; do
        [ "$SECONDS" -lt "$until" ] || return 1
        read -r -t $((until - SECONDS)) -u "$events" _ || return 1
        now=$(xenstore-read "$be/state" 2>/dev/null)
        [ "$now" = "${states##* }" ] || states="$states $now"
    done
}

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

# What a guest does when its driver goes, one step at a time.
frontend_state() {
    as_guest xenstore-write device/vbd/51712/state "$1"
}

image=$(new_image disk 16M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
check "attached: Initialising" reached 1
start_worker
check "the worker comes: InitWait" reached 2
is "$(node sectors)$(node feature-persistent)" "" "what the storage and the options decide is not known yet"

guest_open
check "the frontend is Initialised" await "$fe/state" 3
check "the backend has seen it" eventually worker_is_quiet
is "$(node state)" 2 "... and waits for the script, in InitWait"
check "the hotplug script runs" hotplug add
check "Connected" reached 4
is "$(node sectors) $(node info) $(node sector-size)" "32768 0 512" "size, kind and unit are published"
is "$(node feature-flush-cache) $(node feature-barrier)" "1 1" "so are flush and barrier"
is "$(node feature-persistent)" 1 "... and persistent grants"
is "$(node physical-device-path)" "$image" "the script told where the image lies"
like "$(node physical-sector-size)" '[1-9]*' "the medium's unit is published"
tell "write 0 8 pattern=1"
check "the guest writes" hear "write 0 8: status 0"

frontend_state 5
check "the frontend is Closing: so is the backend" reached 5
frontend_state 6
check "the frontend is Closed: so is the backend" reached 6
is "$states" " 1 2 4 5 6" "these states, in this order"
kill -KILL "$watcher"
guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
