#!/bin/bash
# features-off: what is named is not offered to this guest, and refused if it comes all the same. A disk that offers neither
# flush nor barrier writes through: its guest takes every answer for durable. The worker is there before the script
# says any of that, as under a supervisor.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# moved NAME: the last figure of that name in the worker's log
moved() {
    grep -o " $1=[0-9]*" "$log" | tail -n 1 | cut -d= -f2
}

image=$(new_image disk 1M)

# the list; feature-persistent, -flush-cache, -barrier; status of a flush, of a barrier; whether it writes through
while read -r list persistent flush barrier flushed barred through; do
    check "without $list: the disk is served" serve "$image" --set=features-off="$list"
    is "$(xenstore-read "$be/feature-persistent" 2>/dev/null)" "" "... nothing is offered before it is known"
    guest_open
    tell info "write 0 8 pattern=3" "read 0 8 expect=3" "flush status=$flushed" "barrier status=$barred" \
        "barrier 8 8 pattern=4 status=$barred" "flush 16 8 pattern=5 status=$flushed" "read 0 8 expect=3"
    like "$(hear "info:*")" "* flush=$flush barrier=$barrier persistent=$persistent*" "... the guest is told"
    is "$(xenstore-read "$be/feature-persistent" "$be/feature-flush-cache" "$be/feature-barrier" | paste -sd' ')" \
        "$persistent $flush $barrier" "... in the store"
    check "... reading and writing works" hear "read 0 8: status 0 data ok"
    check "... a flush has status $flushed" hear "flush: status $flushed"
    check "... a barrier has status $barred" hear "barrier: status $barred"
    check "... so has one with data" hear "barrier 8 8: status $barred"
    check "... and a flush with data has $flushed" hear "flush 16 8: status $flushed"
    is "$(xenstore-read "$fe/feature-persistent")" 1 "... the guest would use persistent grants"
    flags=$(image_flags "$image")
    is "$(((flags & 010000) != 0))" "$through" "... O_DSYNC is $through"
    exits 0 "... nothing else was wrong" guest_close
    is "$(($(moved segments_persistent) > 0)) $(($(moved segments_copied) > 0))" "$persistent $((1 - persistent))" \
        "... pages stay mapped, or data is copied"
    is "$(grep -c " persistent=$persistent flush=$flush barrier=$barrier" "$log")" 1 "... the log says what was agreed on"
    check "... a guest that comes back finds the same" guest_io "info" "flush status=$flushed" "read 0 8 expect=3"
    is "$(xenstore-read "$be/feature-persistent" "$be/feature-flush-cache" "$be/feature-barrier" | paste -sd' ')" \
        "$persistent $flush $barrier" "... offered as before"
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    rm "$log"
done <<'TABLE'
persistent 0 1 1 0 0 0
flush-cache 1 0 1 -2 0 0
barrier 1 1 0 0 -2 0
flush-cache+barrier 1 0 0 -2 -2 1
persistent+barrier+flush-cache 0 0 0 -2 -2 1
TABLE

check "without indirect: the disk is served" serve "$image" --set=features-off=indirect
check "... no indirect request is" guest_io "request indirect=1 op=0 nr_segments=20 status=-2" "write 0 88 pattern=6" "read 0 88 expect=6"
# shellcheck disable=SC2016 # for the shell of nbdkit
check "... a large one is made of small ones" with_nbd "indirect=256" \
    'qemu-io -f raw -t none -c "write -P 9 0 1M" -c "read -P 9 0 1M" "$uri"'
is "$(xenstore-read "$be/feature-max-indirect-segments" 2>/dev/null)" "" "... none is offered"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
check "with all of it" serve "$image"
check "... they are" guest_io "request indirect=1 op=0 nr_segments=20 status=0"
is "$(xenstore-read "$be/feature-max-indirect-segments")" 256 "... offered and served"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"

# What the worker cannot follow it refuses, whoever wrote the node.
while read -r node value pattern; do
    check "$node=$value: the disk is served" serve "$image" --set="$node=$value"
    refuses "... but no frontend" guest_io info
    like "$(xenstore-read "$be/hotplug-error")" "node *$node' is malformed: $pattern" "... hotplug-error says why"
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
done <<'TABLE'
features-off trim *persistent, flush-cache, barrier, multi-queue, indirect or discard*
features-off barrier+ *persistent, flush-cache, barrier, multi-queue, indirect or discard*
features-off barrier,persistent *several with + between*
TABLE
check "a disk" serve "$image"
check "... whose cache mode is made nonsense afterwards" xenstore-write "$be/cache-mode" sometimes
refuses "... takes no frontend" guest_io info
like "$(xenstore-read "$be/hotplug-error")" "node *cache-mode' is malformed: *none, directsync, writethrough, writeback or unsafe" \
    "... hotplug-error says why"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
check "an empty list is none" serve "$image" --set=features-off=
check "... all is offered" guest_io "flush" "barrier" "write 0 8 pattern=1"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
assert_clean
done_testing
