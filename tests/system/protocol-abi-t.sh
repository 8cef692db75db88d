#!/bin/bash
# The three answers to which layout the ring has: x86_64-abi, x86_32-abi, and none, which means 32-bit (R19).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
while read -r protocol abi sector; do
    check "$protocol: written and read" guest_io --protocol="$protocol" "write $sector 88 pattern=seed:$sector" \
        "read $sector 88 expect=seed:$sector" flush "read 2048 1 status=-1"
    like "$(grep 'connected:' "$log" | tail -n 1)" "*protocol=$abi *" "... as $abi"
done <<'TABLE'
x86_64-abi x86_64-abi 0
x86_32-abi x86_32-abi 100
none x86_32-abi 200
TABLE
check "each finds what the others wrote" guest_io "read 0 88 expect=seed:0" "read 100 88 expect=seed:100" \
    "read 200 88 expect=seed:200"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
