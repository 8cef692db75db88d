#!/bin/bash
# The image grows and shrinks, again and again, behind what a guest is just reading and writing: nothing of that is
# lost.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Each size is told before the next comes; as long as the load lasts, and three rounds at least. Then the guest may go.
keep_resizing() {
    local round=0 mib

    await "$be/state" 4 || return 1
    while [ "$round" -lt 3 ] || [ ! -e "$work/done" ]; do
        round=$((round + 1))
        for mib in 64 32; do
            truncate -s "${mib}M" "$image" && await "$be/sectors" $((mib * 2048)) || return 1
        done
    done
    say "$round rounds"
    timeout --foreground "$deadline" sh -c "echo go >'$work/go'"
}

image=$(new_image disk 32M)
mkfifo "$work/go"
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=32m --io_size=32m --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-128k --blockalign=512 --iodepth=32 --fsync=200 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
export BLKBACK_LOG=$log
check "the disk attaches" attach xvda "$image"
for guest in "persistent=1" "persistent=0 protocol=x86_32-abi"; do
    rm -f "$work/done"
    launch keep_resizing
    check "$guest: every checksum is right" with_nbd "$guest" \
        "$fio; status=\$?; : >'$work/done'; read -r _ <'$work/go'; exit \$status"
    exits 0 "... each size was told" ended "$launched"
done
check "the disk detaches" detach xvda
is "$(grep -c ': served .* refused=0 failed=0$' "$log")" 2 "the worker has refused nothing, and nothing failed"
assert_clean
done_testing
