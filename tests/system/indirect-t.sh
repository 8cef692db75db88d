#!/bin/bash
# Indirect requests, end to end: up to 1 MiB in one request, in both layouts, with pages that stay mapped and pages that are
# copied; what one guest writes so, another reads otherwise; verified load of all sizes; more than there are buffers for.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# counted: how many indirect requests the disk has taken, and how many it has read and written in all
counted() {
    local name

    for name in indirect_taken reads writes; do
        blkbackctl show 5/xvda --json | grep -o "\"$name\":[0-9]*" | head -n 1 | cut -d: -f2
    done | paste -sd' '
}

# grown BEFORE AFTER: what has been counted since
grown() {
    # shellcheck disable=SC2086 # three words each
    set -- $1 $2
    echo "$(($4 - $1)) $(($5 - $2)) $(($6 - $3))"
}

image=$(new_image disk 32M)
check "the disk is served" serve "$image"

# ---- the largest there are
seed=1
while read -r guest; do
    # shellcheck disable=SC2086 # options are words
    guest_open --indirect=256 $guest
    before=$(counted)
    # In the middle of a page each, some with an odd number of sectors.
    tell "write 0 2040 pattern=seed:$seed" "write 4096 97 pattern=seed:$seed" "write 8192 1999 pattern=seed:$seed" flush \
        "read 0 2040 expect=seed:$seed" "read 4096 97 expect=seed:$seed" "read 8192 1999 expect=seed:$seed"
    check "$guest: 2040 sectors are read as they were written" hear "read 0 2040: status 0 data ok"
    check "$guest: ... and 97" hear "read 4096 97: status 0 data ok"
    check "$guest: ... and 1999" hear "read 8192 1999: status 0 data ok"
    is "$(grown "$before" "$(counted)")" "6 3 3" "$guest: each was one indirect request"
    exits 0 "$guest: nothing else was wrong" guest_close
    check "$guest: small requests read the same" guest_io --indirect=0 "read 0 80 expect=seed:$seed" \
        "read 1952 88 expect=seed:$seed" "read 4096 88 expect=seed:$seed" "read 10184 7 expect=seed:$seed"
    seed=$((seed + 1))
done <<'TABLE'
--persistent=1
--persistent=0
--persistent=1 --protocol=x86_32-abi --first-sect=5
--persistent=0 --protocol=x86_32-abi --first-sect=5
--persistent=0 --grant-per-request=1 --first-sect=1
TABLE

# ---- on the storage it is what it is for the guest
qemu-io -f raw -c "write -P 0x5a 1M 1M" "$image" >&2
check "what lies in the image is read" guest_io --indirect=256 "read 2048 2048 expect=0x5a"

# ---- verified load of all sizes, far more of it than the smallest ring has pages for
size=$((16 * 1024 * 1024))
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=$size --io_size=$size --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-1M --blockalign=512 --iodepth=32 --fsync=20 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
while read -r guest; do
    check "$guest: every checksum is right" with_nbd "$guest" \
        "$fio && blkbackctl show 5/xvda --json >'$work/shown'"
    like "$(grep -o '"indirect_taken":[0-9]*' "$work/shown" | head -n 1)" "*:[1-9]*" "... with indirect requests"
done <<'TABLE'
indirect=256
indirect=256 persistent=0
indirect=32 first-sect=3
indirect=256 persistent=0 ring-order=2 queues=2
indirect=100 persistent=0 protocol=x86_32-abi first-sect=7
TABLE

# ---- all at once: buffers for 21 of 1 MiB, and a ring full of them
for guest in persistent=0 persistent=1; do
    requests=()
    for i in $(seq 0 29); do
        requests+=("async write $((i * 2048)) 2048 pattern=seed:$i")
    done
    for i in $(seq 0 29); do
        requests+=("read $((i * 2048)) 2048 expect=seed:$i")
    done
    check "$guest: 30 MiB at once" guest_io --indirect=256 --$guest "${requests[@]}"
done
is "$(grep -c 'failed=[1-9]' "$log")" 0 "nothing has failed"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
