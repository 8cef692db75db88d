#!/bin/bash
# Several rings for one disk: how many are offered, and when not; verified load on all of them; one disk's order
# and durability across them; frontends that come back with another number; a stop with all of them at work.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# values NAME: the numbers that blkbackctl show --json has under that name: all queues together, then each
values() {
    blkbackctl show 5/xvda --json | grep -o "\"$1\":[0-9]*" | sed 's/.*://' | tr '\n' ' '
}

threads() {
    cat "/proc/$worker/task/"*/comm | grep -c '^queue-'
}

image=$(new_image disk 32M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
check "the worker starts" start_worker --max-queues=4
is "$(xenstore-read "$be/multi-queue-max-queues")" 4 "so many queues are offered in InitWait"
check "the script has its say" hotplug add
is "$(xenstore-read "$be/multi-queue-max-queues")" 4 "... which changes nothing"

# ---- verified load, the number of rings going up and down
size=$((8 * 1024 * 1024))
fio="fio --name=mixed --ioengine=nbd --uri=\$uri --size=$size --io_size=$size --rw=randrw --rwmixread=30"
fio="$fio --bsrange=512-128k --blockalign=512 --iodepth=64 --fsync=50 --randrepeat=0"
fio="$fio --verify=crc32c --verify_fatal=1 --do_verify=1 --verify_state_save=0 --output-format=terse"
while read -r queues guest; do
    check "$queues queues, $guest: every checksum is right" with_nbd "queues=$queues $guest" \
        "$fio && blkbackctl show 5/xvda --json >'$work/shown'"
    is "$(grep -o '"queue":[0-9]*' "$work/shown" | wc -l)" "$queues" "... shown as so many"
    is "$(grep -o '"reads":[0-9]*' "$work/shown" | grep -c ':[1-9]')" $((queues + 1)) "... all of them were used"
done <<'TABLE'
4 persistent=1
1 persistent=1
3 persistent=0
2 ring-order=2 protocol=x86_32-abi
4 ring-order=4 persistent=0 pages=4000
1 persistent=0
4 persistent=1
TABLE
is "$(values refused_segment_count)$(values failed)" "0 0 " "nothing was refused, and nothing failed"

# ---- one after the other, each reads what the other wrote
guest_open --queues=4
for i in 0 1 2 3; do
    tell "queue $i" "write $((i * 88)) 88 pattern=seed:$i" "flush" "barrier $((i * 88 + 1000)) 8 pattern=seed:$i" barrier
done
for i in 0 1 2 3; do
    tell "queue $(((i + 1) % 4))" "read $((i * 88)) 88 expect=seed:$i" "read $((i * 88 + 1000)) 8 expect=seed:$i"
    check "queue $(((i + 1) % 4)) reads what queue $i wrote" hear "read $((i * 88)) 88: status 0 data ok"
done
tell stats
hear "stats: *" >/dev/null
is "$(threads)" 4 "a thread for each"
like "$(values reads)" "* 2 2 2 2 " "each counts its own reads"
like "$(values barriers)" "8 2 2 2 2 " "... and barriers, which all together are the disk's"
like "$(values flushes)" "* 1 1 1 1 " "... and flushes"
like "$(blkbackctl show 5/xvda)" "*4 queues*" "blkbackctl says how many"

# ---- barriers and flushes of all, with writes of all in between, all in flight
for i in $(seq 200); do
    echo "queue $((i % 4))"
    case $((i % 10)) in
    0) echo "async barrier $((2000 + i * 8)) 8 pattern=seed:$i" ;;
    3) echo "async flush" ;;
    7) echo "async barrier" ;;
    *) echo "async write $((2000 + i * 8)) 8 pattern=seed:$i" ;;
    esac
    [ $((i % 50)) != 0 ] || echo wait
done >"$work/storm"
tell "$(cat "$work/storm")" wait "queue 1" "read $((2000 + 200 * 8)) 8 expect=seed:200"
check "a storm of barriers and flushes from all rings ends" hear "read 3600 8: status 0 data ok"
exits 0 "... well" guest_close
is "$(threads)" 0 "no thread stays"

# ---- another number at each reconnect
for queues in 4 1 2 4 3 1; do
    guest_open --queues="$queues"
    tell "queue $((queues - 1))" "read 0 88 expect=seed:0"
    check "reconnect with $queues" hear "read 0 88: status 0 data ok"
    is "$(threads)" "$queues" "... threads"
    guest_close
done

# ---- one ring is broken: the disk's connection ends, and the next one works (R16)
guest_io --queues=4 "write 0 8 pattern=1" "queue 2" "overrun 33" "backend Closing" >"$work/said"
like "$(cat "$work/said")" "*write 0 8: status 0*backend: Closing*" "an overrun of the third ring ends the connection"
like "$(xenstore-read "$be/hotplug-error")" "*broke its ring*" "... hotplug-error says why"
check "... the guest may come back" guest_io --queues=4 "read 0 8 expect=1" "write 0 88 pattern=seed:0"

# ---- detached with load on all rings
guest_open --queues=4
for i in $(seq 100); do
    echo "queue $((i % 4))"
    if [ $((i % 9)) = 0 ]; then echo "async barrier $((i * 8)) 8 pattern=1"; else echo "async write $((i * 8)) 8 pattern=1"; fi
done >"$work/load"
tell "$(cat "$work/load")" stats "backend Closing" wait close
hear "stats: *" >/dev/null
check "the disk detaches with load on all rings" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
exits 0 "... and all that was asked is answered well" guest_close

# ---- hidden
image=$(new_image hidden 1M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image,features-off=multi-queue"
check "another disk, and the feature is off" start_worker --max-queues=4
check "... which the script says" hotplug add
check "... then it is not offered" await "$be/multi-queue-max-queues" ""
refuses "... a frontend that wants it gets none" guest_io --queues=2 "read 0 8"
check "... one that does not is served" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
refuses "... nor when it comes again" xenstore-read "$be/multi-queue-max-queues"
check "... the disk detaches" detach xvda
exits 0 "... and the worker ends with 0" ended "$worker"
exits 2 "no more than 8 queues" blkback-vbd --max-queues=9 "$be"
exits 2 "no fewer than 1" blkback-vbd --max-queues=0 "$be"
assert_clean
done_testing
