#!/bin/bash
# Mixed random reads and writes of all sizes, 32 in flight, every block with a checksum.
# shellcheck source=tests/lib/guest.sh
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 48M)
# shellcheck disable=SC2016 # for the shell of nbdkit
fio='fio --name=mixed --ioengine=nbd --uri="$uri" --size=48m --io_size=48m --rw=randrw --rwmixread=30
    --bsrange=512-128k --blockalign=512 --iodepth=32 --fsync=200 --randrepeat=0
    --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse'
check "the disk attaches" attach xvda "$image"
for guest in "persistent=1" "persistent=0 protocol=x86_32-abi"; do
    # shellcheck disable=SC2086 # in one line
    check "$guest: every checksum is right" with_nbd "$guest" "$(echo $fio)"
done
check "the disk detaches" detach xvda
assert_clean
done_testing
