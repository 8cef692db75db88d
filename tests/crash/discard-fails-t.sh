#!/bin/bash
# A discard that the storage fails is an error for the guest and nothing else, in every mode and under every policy: nothing that
# was promised is in doubt, and nobody is stopped.
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"

counted() {
    blkbackctl show 5/xvda --json | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

check "there is a disk" start_disk
for mode in none directsync writethrough writeback unsafe; do
    for policy in report stop; do
        check "$mode, on-error=$policy: it is served" crash_serve ",cache=$mode,on-error=$policy"
        guest_open
        check "... a discard is to fail" disk fail discard 1 5
        tell "write 0 8 pattern=1" "discard 0 2048 status=-1" "write 64 8 pattern=2" "read 64 8 expect=2" "discard 0 2048"
        check "... it is an error" hear "discard 0 2048: status -1"
        check "... what comes behind it is done" hear "read 64 8: status 0 data ok"
        check "... and the next discard" hear "discard 0 2048: status 0"
        is "$(counted failed_discards)" 1 "... it is counted"
        is "$(xenstore-read "$be/stopped" "$be/data-lost" 2>/dev/null)" "" "... nobody is called, and nothing is lost"
        check "... the log says so" await_line "$log" "a discard failed.*Input/output error"
        exits 0 "... nothing else was wrong" guest_close
        check "... the disk detaches" detach xvda
        exits 0 "... the worker ends with 0" ended "$worker"
        rm "$log"
    done
done
check "the storage ends" stop_disk
assert_clean
done_testing
