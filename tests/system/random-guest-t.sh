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

# Mapped for each request where they may not stay mapped, in some of the connections.
check "transfer=map: the disk is served" serve_wide "$image,transfer=map"
a_guest "transfer=map" "$image" 2 --persistent=0

# Discards of a device may leave more than a file's, and take more. Of blocks of 4096 bytes, a part is read first to be written (D1).
for sectors in 512 4096; do
    device=$([ "$(id -u)" != 0 ] || losetup --find --show --direct-io=on --sector-size "$sectors" "$image" 2>/dev/null)
    [ -n "$device" ] || continue
    way=$(pick auto map copy)
    name="a block device of $sectors, transfer=$way"
    check "$name: the disk is served" serve_wide "$device,transfer=$way"
    is "$(blockdev --getss "$device")" "$sectors" "$name: such it is"
    a_guest "$name" "$device" 2 --discards=any
    check "$name: the device is let go" losetup -d "$device"
    device=
    check "$name: nobody holds it" eventually detached
done
assert_clean
done_testing
