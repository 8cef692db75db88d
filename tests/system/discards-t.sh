#!/bin/bash
# Discards, end to end: what the guest gives back, the image no longer takes room for; what lies beside it stays. To whom they are
# offered, and that nobody else's are done.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# KiB the image takes on its storage
room() {
    du -k "$image" | cut -f1
}

# offered: the four nodes, or nothing
offered() {
    xenstore-read "$be/feature-discard" "$be/discard-granularity" "$be/discard-alignment" "$be/discard-secure" 2>/dev/null |
        paste -sd' '
}

counted() {
    blkbackctl show 5/xvda --json | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

image=$(new_image disk 16M)
fill() {
    qemu-io -f raw -c "write -P 7 0 16M" -c flush "$image" >&2
}

# ---- what it does
fill
full=$(room)
check "the disk is served" serve "$image"
for guest in protocol=x86_64-abi protocol=x86_32-abi; do
    fill
    check "$guest: a discard" guest_io --$guest "discard 2048 16384" "read 2048 88 expect=0" "read 18344 88 expect=0" \
        "read 1960 88 expect=7" "read 18432 88 expect=7"
    is "$((full - $(room)))" 8192 "$guest: ... gives back 8 MiB"
    check "$guest: a whole disk" guest_io --$guest "discard 0 32768" "read 0 88 expect=0" "read 32680 88 expect=0"
    is "$(($(room) < 64))" 1 "$guest: ... takes no room any more"
done
unit=$(stat -f -c %S "$image")
is "$(offered)" "1 $unit 0 0" "offered is what the file system does: blocks of $unit"
fill
check "less than a block, across the end of one" guest_io "discard 15 $((unit / 512))" "read 0 88 expect=7"
is "$(room)" "$full" "... stays"
check "nothing" guest_io "discard 0 0" "discard 32768 0"
check "beyond the end" guest_io "discard 0 32769 status=-1" "discard 32768 1 status=-1" "discard 1 -1 status=-1" \
    "discard -1 -1 status=-1" "discard 0x8000000000000000 0x8000000000000000 status=-1"
is "$(room)" "$full" "... is not done"
check "a secure one is done as well as can be" guest_io "discard 0 2048 secure=1" "read 0 88 expect=0"
check "the page cache has nothing of it" qemu-io -f raw -c "read -P 0 0 1M" -c "read -P 7 1M 1M" "$image"
is "$(counted failed_discards) $(counted failed)" "0 0" "nothing failed"

# ---- by a client that knows nothing of Xen
fill
# shellcheck disable=SC2016 # for the shell of nbdkit
check "an NBD client may trim" with_nbd "" 'nbdinfo --can trim "$uri" && qemu-io -f raw -d unmap -c "discard 4M 4M" "$uri"'
is "$((full - $(room)))" 4096 "... and gives back 4 MiB"
check "... its data beside it is whole" guest_io "read 8104 88 expect=7" "read 16384 88 expect=7" "read 8192 88 expect=0"

# ---- at work beside others: data and discards in turns, each sees its own
requests=()
for i in $(seq 0 63); do
    requests+=("async write $((i * 512)) 88 pattern=$((i + 1))" "async discard $((i * 512 + 128)) 256")
    [ $((i % 16)) != 15 ] || requests+=(wait)
done
requests+=(flush)
for i in $(seq 0 63); do
    requests+=("read $((i * 512)) 88 expect=$((i + 1))" "read $((i * 512 + 160)) 88 expect=0")
done
check "writes and discards side by side" guest_io --queues=2 "${requests[@]}"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

# ---- to whom they are not offered
fill
while read -r what options; do
    # shellcheck disable=SC2086 # options are words
    check "$what: the disk is served" serve "$image" $options
    check "... a discard is refused" guest_io "discard 0 2048 status=-2" "read 0 88 expect=7"
    is "$(offered)" "" "... and was not offered"
    # shellcheck disable=SC2016 # for the shell of nbdkit
    refuses "... an NBD client may not trim" with_nbd "" 'nbdinfo --can trim "$uri"'
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
done <<'TABLE'
read-only --mode=r
discard-enable=0 --set=discard-enable=0
features-off=discard --set=features-off=discard
TABLE
is "$(room)" "$full" "nothing was given back"

# ---- where they are looked for, and where that is nobody's business
trip TRIP_FALLOCATE
check "an image that is only looked at" tripping blkback-vbd --check "$image"
is "$(wc -l <"$TRIP_FALLOCATE")" 0 "... is left alone"
check "a file system without holes: the disk is served" tripping serve "$image"
check "... but no discards" guest_io "discard 0 2048 status=-2" "read 0 88 expect=7"
is "$(wc -l <"$TRIP_FALLOCATE")" 1 "... it was asked once"
is "$(offered)" "" "... and none were offered"
untrip TRIP_FALLOCATE

# ---- no room for the thread that does them: an error, and the disk goes on
guest_open
tell "read 0 8 expect=7"
check "with room for threads a guest is served" hear "read 0 8: status 0 data ok"
trip TRIP_THREAD
tell "discard 0 2048 status=-1" "write 0 8 pattern=8" "read 0 8 expect=8"
check "without, a discard is an error" hear "discard 0 2048: status -1"
check "... the disk goes on" hear "read 0 8: status 0 data ok"
check "... and the log says so" await_line "$log" "a discard failed.*Resource temporarily unavailable"
untrip TRIP_THREAD
tell "discard 0 2048 status=0" "read 0 8 expect=0"
check "... later there is, and a discard is done" hear "read 0 8: status 0 data ok"
exits 0 "... nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
check "discard-enable=1: the disk is served" serve "$image" --set=discard-enable=1
check "... a discard is done" guest_io "discard 0 32768"
is "$(($(room) < 64))" 1 "... and gives room back"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
check "discard-enable=no: the disk is served" serve "$image" --set=discard-enable=no
refuses "... but no frontend" guest_io info
like "$(xenstore-read "$be/hotplug-error")" "node *discard-enable' is malformed: it is 0 or 1" "... hotplug-error says why"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
