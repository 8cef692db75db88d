#!/bin/bash
# A guest that does anything: random requests of every operation, good and bad, many in flight on any number of queues, through any
# kind of ring, and a model that knows what must come of each: see tests/lib/guest_player.h. Each guest connects several
# times, each time as another kind of guest. `make fuzz-guest` does this for longer.
# shellcheck source=tests/lib/random-guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/random-guest.sh"

device=
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

detached() {
    [ -z "$(losetup -j "$image")" ]
}

# What a worker may be told to hide, any number of it.
hidden() {
    local feature list=

    for feature in persistent flush-cache barrier indirect discard; do
        [ $((RANDOM % 2)) = 0 ] || list=$list+$feature
    done
    echo "${list#+}"
}

# a_guest NAME STORAGE CONNECTIONS [OPTION...]
a_guest() {
    check "$1: a random guest" random_guest "$2" --vary=1 --queues=4 --ring-order=4 --indirect=256 --connections="$3" \
        --requests=$((250 * scale)) "${@:4}"
    done_with "$1"
}

image=$(new_image disk 8M)
check "a file: the disk is served" serve_wide "$image"
a_guest "a file" "$image" 4

off=$(hidden)
check "features-off=$off: the disk is served" serve_wide "$image" ${off:+--set=features-off="$off"}
a_guest "features-off=$off" "$image" 3

check "read-only: the disk is served" serve_wide "$image" --mode=r
a_guest "read-only" "$image" 1

# Discards of a device may leave more than a file's, and take more.
device=$([ "$(id -u)" != 0 ] || losetup --find --show --direct-io=on "$image" 2>/dev/null)
if [ -n "$device" ]; then
    check "a block device: the disk is served" serve_wide "$device"
    a_guest "a block device" "$device" 2 --discards=any
    check "the device is let go" losetup -d "$device"
    device=
    check "nobody holds it" eventually detached
fi
assert_clean
done_testing
