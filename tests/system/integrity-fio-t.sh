#!/bin/bash
# Mixed random reads and writes of all sizes, 32 in flight, every block with a checksum.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 48M)
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=48m --io_size=48m --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-128k --blockalign=512 --iodepth=32 --fsync=200 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
export BLKBACK_LOG=$log
check "the disk attaches" attach xvda "$image"
for guest in "persistent=1" "persistent=0 protocol=x86_32-abi"; do
    check "$guest: every checksum is right" with_nbd "$guest" "$fio"
done
check "the disk detaches" detach xvda
is "$(grep -c ': served .* refused=0 failed=0$' "$log")" 2 "the worker has refused nothing, and nothing failed"
# What fio wrote it has read again, and read more. 48 MiB are 98304 sectors.
while read -r reads writes; do
    [ "$writes" -gt 49152 ] && [ "$reads" -gt "$writes" ]
    ok $? "$reads sectors were read and $writes written"
done < <(sed -n 's/.*: served .* read_sectors=\([0-9]*\) write_sectors=\([0-9]*\) .*/\1 \2/p' "$log")
assert_clean
done_testing
