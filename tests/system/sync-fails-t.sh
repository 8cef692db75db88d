#!/bin/bash
# The last fdatasync of a connection fails: data may be lost, and that is told, by the worker's exit code and
# in the store, for as long as the disk is not attached anew.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

lost="fdatasync failed: data the guest wrote may be lost"
told() {
    is "$(xenstore-read "$be/hotplug-error" "$be/data-lost" | paste -sd' ')" "$lost 1" "$1: the store says so"
}

image=$(new_image disk 1M)
check "a disk is served" tripping serve "$image"
check "a guest writes, and leaves" guest_io "write 0 8 pattern=1"
is "$(xenstore-read "$be/data-lost" 2>/dev/null)" "" "nothing is lost"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
trip TRIP_FDATASYNC
exits 0 "it leaves" guest_close
await "$be/state" 6
told "when the guest has left"
untrip TRIP_FDATASYNC
refuses "a guest that comes back cannot write" guest_io "write 0 8 pattern=2"
await "$be/state" 6
told "and later on"
check "the disk detaches" detach xvda
exits 7 "the worker ends with 7" ended "$worker"

rm "$log"
check "the disk is attached anew" tripping serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest can write" hear "write 0 8: status 0"
trip TRIP_FDATASYNC
kill -TERM "$worker"
exits 7 "stopped by a signal, the worker ends with 7" ended "$worker"
untrip TRIP_FDATASYNC
told "after a signal"
guest_kill
withdraw

# Killed before it could tell anybody: its record has it. What the next one has told the one after that reads.
rm "$log"
check "the disk is attached once more" tripping serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
trip TRIP_CONFLICT
trip TRIP_FDATASYNC
tell "flush status=-5"
check "a flush fails, and others write the store" hear "flush: status -5"
kill -KILL "$worker"
exits 137 "the worker is killed" ended "$worker"
untrip TRIP_CONFLICT
untrip TRIP_FDATASYNC
is "$(xenstore-read "$be/data-lost" 2>/dev/null)" "" "... and has not told the store"
launch exec_logged blkback-vbd -f "$be"
check "the next one does" await "$be/data-lost" 1
kill -KILL "$launched"
exits 137 "... and is killed" ended "$launched"
launch exec_logged blkback-vbd -f "$be"
tell reopen "write 0 8 pattern=2 status=-1" "flush status=-5"
check "the guest comes back to a third one" hear "write 0 8: status -1"
check "... which serves it no better" hear "flush: status -5"
exits 0 "... nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 7 "the worker ends with 7" ended "$launched"
assert_clean killed
done_testing
