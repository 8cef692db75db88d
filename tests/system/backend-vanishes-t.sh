#!/bin/bash
# The toolstack removes the backend directory at each stage of a disk's life: the worker ends with 0 and
# writes nothing back.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

vanish() {
    check "$1: the directory is removed" xenstore-rm "$be"
    exits 0 "$1: the worker ends with 0" ended "$worker"
    is "$(xenstore-list "$be" 2>/dev/null)" "" "$1: nothing was written back"
    is "$(find "$BLKBACK_RUNDIR" -name '*.pid')" "" "$1: no pid file"
    [ -z "${guest_pid:-}" ] || guest_kill
    guest_pid=
    detach xvda --force >&2
}

image=$(new_image disk 1M)
prepare() {
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image" && start_worker
}

exits 3 "before anything is there: no such disk" blkback-vbd -f "$be"

check "a disk in InitWait" prepare
vanish "InitWait"

check "a disk in InitWait" prepare
guest_open
check "a frontend that is Initialised" await "$fe/state" 3
vanish "InitWait, the frontend waiting"

check "a disk in InitWait" prepare
check "the hotplug script has run" hotplug add
vanish "InitWait, the storage known"

check "a connected disk" serve "$image"
guest_open
tell "async read 0 8"
check "a connected guest" await "$be/state" 4
vanish "Connected"

check "a connected disk" serve "$image"
guest_open
check "a connected guest" await "$fe/state" 4
check "a frontend that is closing" as_guest xenstore-write device/vbd/51712/state 5
check "a backend that is, too" await "$be/state" 5
vanish "Closing"

check "a disk that is served" serve "$image"
check "a guest that came and went" guest_io "read 0 8"
check "a backend that is Closed" await "$be/state" 6
vanish "Closed"
assert_clean
done_testing
