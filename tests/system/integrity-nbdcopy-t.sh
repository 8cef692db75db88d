#!/bin/bash
# A whole disk there and back, byte for byte, in every way to reach the guest's pages and both ABIs.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Not a multiple of a page.
size=$((16 * 1048576 + 3 * 512))
image=$(new_image disk "$size")
export from=$images/from to=$images/to
check "the disk attaches" attach xvda "$image"
for protocol in x86_64-abi x86_32-abi; do
    for persistent in 1 0; do
        guest="protocol=$protocol persistent=$persistent"
        head -c "$size" /dev/urandom >"$from"
        # shellcheck disable=SC2016 # for the shell of nbdkit
        check "$guest: there" with_nbd "$guest" 'nbdcopy --flush -- "$from" "$uri"'
        check "$guest: the image has it" cmp "$image" "$from"
        # shellcheck disable=SC2016
        check "$guest: back" with_nbd "$guest" 'nbdcopy -- "$uri" "$to"'
        check "$guest: nothing is lost" cmp "$to" "$from"
    done
done
check "the disk detaches" detach xvda
assert_clean
done_testing
