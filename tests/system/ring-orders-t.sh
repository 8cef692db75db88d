#!/bin/bash
# Rings of 1 to 16 pages, in both layouts, one after the other in one worker's life: what is written is read
# back, and is in the image; more than 32 requests are in flight; whose nodes a predecessor has left does not
# matter (R4, R20).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# value NAME: the first number that blkbackctl show --json has under that name
value() {
    blkbackctl show 5/xvda --json | sed -n 's/.*"'"$1"'":\([0-9]*\).*/\1/p'
}

# guest_ring OPTIONS COMMAND...: single requests while the number of the ring's pages is looked at
guest_ring() {
    # shellcheck disable=SC2086 # options are words
    guest_open $1 || return 1
    tell "${@:2}" stats
    hear "stats: *" >/dev/null
    value ring_pages >"$work/pages"
    guest_close
}

image=$(new_image disk 32M)
check "the disk is served" serve "$image"
is "$(xenstore-read "$be/max-ring-page-order")" 4 "orders up to 4 are offered, in InitWait"

# ---- all orders and layouts, up and down
size=$((8 * 1024 * 1024))
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=$size --io_size=$size --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-128k --blockalign=512 --iodepth=64 --fsync=100 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
while read -r order guest; do
    check "order $order, $guest: every checksum is right" with_nbd "ring-order=$order $guest" \
        "$fio && blkbackctl show 5/xvda --json >'$work/shown'"
    like "$(cat "$work/shown")" "*\"ring_pages\":$((1 << order)),*" "... with as many pages"
done <<'TABLE'
0 persistent=1
4 persistent=1
1 persistent=0
3 protocol=x86_32-abi
2 protocol=x86_32-abi persistent=0
4 protocol=x86_32-abi persistent=0 first-sect=3
0 protocol=x86_32-abi persistent=0
3 persistent=0 grant-per-request=1
1 protocol=none
2 persistent=1
4 persistent=0
TABLE
is "$(value refused_segment_count) $(value refused_beyond_end) $(value failed)" "0 0 0" "nothing was refused, and nothing failed"

# ---- what one ring wrote another one reads, and the image has it
n=0
for order in 0 4 0 2; do
    for protocol in x86_64-abi x86_32-abi; do
        n=$((n + 1))
        check "order $order, $protocol" guest_ring "--ring-order=$order --protocol=$protocol" \
            "write $((n * 88)) 88 pattern=seed:$n" flush
        is "$(cat "$work/pages")" $((1 << order)) "... with as many pages"
    done
done
check "all is read through another ring" guest_io --ring-order=3 "read 88 88 expect=seed:1" "read 264 88 expect=seed:3" \
    "read 616 88 expect=seed:7" "read 704 88 expect=seed:8"

# ---- nodes of a predecessor
like "$(as_guest xenstore-list device/vbd/51712)" "*ring-ref0*" "a ring-ref0 is left over"
check "a ring of one page is found beside it" guest_io "read 88 88 expect=seed:1"
as_guest xenstore-write device/vbd/51712/ring-ref0 nonsense
check "... whatever it says" guest_ring "" "read 88 88 expect=seed:1"
is "$(cat "$work/pages")" 1 "... by ring-ref"
refuses "... since there is no order" as_guest xenstore-read device/vbd/51712/ring-page-order

# ---- really more than 32 in flight
for order in 0 2 4; do
    slots=$((32 << order))
    guest_open --ring-order="$order"
    tell "read 88 88 expect=seed:1"
    hear "read 88 *data ok" >/dev/null
    ok $? "order $order: connected"
    check "... the worker stops" stop_worker
    for i in $(seq "$slots"); do
        echo "async write $((1024 + i * 8)) 8 pattern=seed:$i"
    done >"$work/writes"
    tell "$(cat "$work/writes")" "async read 0 8" stats
    like "$(hear "stats: *")" "stats: requests=$((slots + 1)) responses=1 *" "... $slots requests are in the ring, and no more fit"
    kill -CONT "$worker"
    tell wait
    for i in 1 "$((slots / 2 + 1))" "$slots"; do
        tell "read $((1024 + i * 8)) 8 expect=seed:$i"
        hear "read $((1024 + i * 8)) 8: status 0 data ok" >/dev/null
        ok $? "... number $i was written"
    done
    guest_close
done

check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
