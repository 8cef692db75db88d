#!/bin/bash
# While dirty pages of an image are written, which may take long, whoever waits sees how much is left: in the worker's log when a guest connects, and
# on the hotplug script's standard error.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

case $(pagecache -v "$0") in
    *mincore*) skip_all "this kernel does not tell dirty pages" ;;
esac

# Each of the pieces that are written one after the other takes longer than the time between two words.
export TRIP_SLOW_RANGE=1100
image=$(new_image disk 128M)

dirty() {
    dd if=/dev/zero of="$image" bs=1M count=96 conv=notrunc status=none
}

# How much there can be left once one of the pieces is written
told() {
    grep -q -E "'$image': [1-9][0-9]? MiB in the page cache are still to be written\$" "$1"
}

# until_told FILE COMMAND...: the kernel may write all of it before us, but not every time
until_told() {
    for _ in 1 2 3 4 5; do
        dirty && "${@:2}" || return 1
        ! told "$1" || return 0
    done
    return 1
}

check "a disk is served" tripping serve "$image"
check "while a guest connects the worker's log says how much is to be written" until_told "$log" guest_io "read 0 8"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

attach_and_detach() {
    tripping attach xvda "$image" 2>>"$work/said" && detach xvda
}
check "the hotplug script says it, too" until_told "$work/said" attach_and_detach
is "$(grep -c "still to be" "$work/said")" "$(grep -c "^block-blkback: ${be#/local/domain/0/}: '$image': " "$work/said")" "... in its own name, with the disk's"

assert_clean
done_testing
