#!/bin/bash
# An NBD client's forced unit access becomes a WRITE_BARRIER, and each is made durable: an fdatasync before
# its payload and one after it. Where barriers are not wanted it becomes a write and a flush.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# served NAME: the last figure of that name in the worker's log
served() {
    grep -o " $1=[0-9]*" "$log" | tail -n 1 | cut -d= -f2
}

image=$(new_image disk 4M)
check "the disk is served" serve "$image"
# shellcheck disable=SC2016 # for the shell of nbdkit
check "three writes with FUA" with_nbd "barrier=1" \
    'qemu-io -f raw -t none -c "write -f -P 1 0 512" -c "write -f -P 2 4k 44k" -c "write -f -P 3 1m 12k" "$uri"'
is "$(served barriers)" 3 "... were three barriers"
is "$(served writes)" 0 "... and no other writes"
fdatasyncs=$(served fdatasyncs)
like "$fdatasyncs" "[6-9]" "... each with an fdatasync before and after"
# shellcheck disable=SC2016
check "two writes with FUA, barriers forbidden" with_nbd "barrier=0" \
    'qemu-io -f raw -t none -c "write -f -P 4 2m 512" -c "write -f -P 5 2560k 4k" "$uri"'
is "$(served barriers) $(served writes)" "0 2" "... were plain writes"
like "$(served flushes)" "[2-9]" "... each with a flush"
check "the image has all of it" qemu-io -f raw -r -c "read -P 1 0 512" -c "read -P 2 4k 44k" \
    -c "read -P 3 1m 12k" -c "read -P 4 2m 512" -c "read -P 5 2560k 4k" "$image"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
