#!/bin/bash
# What `blkbackctl show` and the log say of an image that others use, too: who has it, and since when; for whom a guest waits; what the page
# cache has of it; and the last hand-over in each direction. Storage that does not answer keeps only blkbackctl waiting, and not for ever.
# shellcheck source=tests/lib/recordfs.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/recordfs.sh"

undo() {
    [ -z "${fs_pid:-}" ] || kill -CONT "$fs_pid" 2>/dev/null
    stop_recordfs
}

# shown: the object "image" of show --json
shown() {
    blkbackctl show 5/xvda --json | grep -o '"image":{.*'
}

# field NAME: its number, text or null there; the first of that name
field() {
    shown | grep -o "\"$1\":\(\"[^\"]*\"\|[a-z0-9]*\)" | sed -n '1s/^[^:]*:"\?\([^"]*\)"\?/\1/p'
}

# handed_over HEIR: pages, and those left, of the last one. Dirty ones are not known everywhere (cachestat).
handed_over() {
    shown | grep -o "\"$1\":{[^}]*}" | grep -o '"\(pages\|left\)":[0-9]*' | sed 's/.*://' | paste -s -d ' '
}

# in_cache: nodes, and pages, of what the page cache has of it now
in_cache() {
    shown | grep -o '"cache":{[^}]*}' | grep -o '"\(nodes\|pages\)":[0-9]*' | sed 's/.*://' | paste -s -d ' '
}

nr_told() {
    grep -c "page cache handed over" "$log"
}

# put PAGES: through the page cache, where they stay, dirty
put() {
    head -c $(($1 * 4096)) /dev/zero | dd of="$image" conv=notrunc status=none
}

page=$(getconf PAGESIZE)
[ "$page" = 4096 ] || skip_all "pages of $page bytes"
image=$(new_image disk 8M)
sync -d "$image"
begun=$(date +%s)

# ---- nobody --------------------------------------------------------------------------------------

check "a disk is served" serve "$image"
is "$(field owned) $(field holder) $(field waits_for) $(field waits_ms)" "false null null null" "nobody has its image"
is "$(field path)" "$image" "... which is named, though it is not open"
is "$(field guest) $(field others)" "null null" "... it has not been handed over"
like "$(blkbackctl show 5/xvda)" "*  owner      nobody (not this worker since 20*" "... people read that, too"
check "it is written through the page cache" put 16
is "$(in_cache)" "1 16" "... which is seen"

# ---- another -------------------------------------------------------------------------------------

mkfifo "$work/qemu.in"
# use FLAG...: qemu-io has the image open, until let_go
use() {
    # What the last one said is not this one's word.
    rm -f "$work/qemu.out"
    lifeline
    env -u LD_PRELOAD qemu-io "$@" -f raw "$image" <"$work/qemu.in" >"$work/qemu.out" 2>&1 &
    holder=$!
    held_by "$holder"
    exec {qemu_in}>"$work/qemu.in"
    echo length >&"$qemu_in"
    await_line "$work/qemu.out" MiB
}

let_go() {
    echo quit >&"$qemu_in"
    exec {qemu_in}>&-
    ended "$holder"
}

check "another program reads the image" use -r
is "$(field holder)" "process $holder (qemu-io), which reads it" "... show names it"
exits 0 "... it ends" let_go
is "$(field holder)" null "... it has nobody now"
check "another program writes the image" use
is "$(field holder)" "process $holder (qemu-io), which writes it" "... show names it"
like "$(blkbackctl show 5/xvda)" "*  owner      process $holder (qemu-io), which writes it (not this worker since 20*" "... people read that, too"
is "$(field waits_for)" null "... nobody waits for it"
guest_open
check "a guest comes" await_line "$log" "waits for the image"
like "$(field waits_for)" "the image is in use by process $holder (qemu-io), which writes it*" "... show says for whom it waits"
left=$(field waits_ms)
[ "$left" -gt 0 ] && [ "$left" -le 30000 ]
ok $? "... and how long still"
like "$(blkbackctl show 5/xvda)" "*  WAITS      another * s: the image is in use by process $holder (qemu-io)*" "... people read that, too"
is "$(field guest) $(nr_told)" "null 0" "... nothing has been handed over"
exits 0 "the other one ends" let_go

# ---- this worker ---------------------------------------------------------------------------------

tell "write 0 8 pattern=1"
check "then the guest works" hear "write 0 8: status 0"
is "$(field owned) $(field holder) $(field waits_for) $(field waits_ms)" "true null null null" "the image is this worker's"
since=$(field since)
[ "$since" -ge "$begun" ] && [ "$since" -le "$(date +%s)" ]
ok $? "... since it connected"
is "$(in_cache)" "1 0" "... the page cache has nothing of it"
is "$(handed_over guest) $(field others)" "16 0 null" "... what it had was handed over to the guest"
like "$(blkbackctl show 5/xvda)" "*  owner      this worker, since 20*  page cache 0 pages, * dirty, of 1 node
  to guest    handed over at 20*: 16 pages, * dirty, in * 0 stayed*" "... people read that, too"
is "$(nr_told)" 1 "... the log has one line of it"
like "$(cat "$log")" "*page cache handed over: to=guest pages=16 dirty=* left=0 nodes=1 rounds=1 duration_us=*" "... with the figures"
exits 0 "the guest leaves" guest_close
is "$(field owned) $(field holder)" "false null" "the image is nobody's again"
[ "$(field since)" -ge "$since" ]
ok $? "... since then"
is "$(handed_over others)" "0 0" "... there was nothing to hand over to others"
is "$(nr_told)" 1 "... of which the log says nothing"
is "$(handed_over guest)" "16 0" "... and that to the guest is shown still"
check "the guest comes back" guest_io "read 0 8 expect=1"
is "$(handed_over guest) $(nr_told)" "0 0 1" "... there was nothing to hand over, and the log says nothing"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm "$log"

# ---- pages that stay -----------------------------------------------------------------------------

# Mapped by a reader.
check "the image is written through the page cache" put 4
lifeline
env -u LD_PRELOAD hold-mapped "$image" <"$work/qemu.in" >"$work/pinned" &
pinner=$!
held_by "$pinner"
exec {pin_in}>"$work/qemu.in"
check "somebody maps it there" await_line "$work/pinned" mapped
check "a disk is served" serve "$image"
guest_open
check "... its guest connects" await_line "$log" "connected:"
like "$(shown)" "*\"handed_over\":{\"guest\":{*\"problem\":\"*hold-mapped (pid $pinner, has it mapped)*" "show says who keeps pages"
like "$(blkbackctl show 5/xvda)" "*  to guest    handed over at *
             *hold-mapped (pid $pinner, has it mapped)*" "... people read that, too"
check "... the log, too" await_line "$log" "page cache handed over: to=guest pages=1 .* left=1 "
exits 0 "... the guest leaves" guest_close

kill "$pinner"
exits 143 "... who mapped it is ended" ended "$pinner"
exec {pin_in}>&-
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm "$log"

# ---- storage that does not answer ----------------------------------------------------------------

if start_recordfs $((4 << 20)); then
    check "a disk on a storage of its own is served" serve "$fs_image"
    kill -STOP "$fs_pid"
    like "$(timeout 20 blkbackctl -t 1 show 5/xvda --json)" "*\"holder\":null,\"cache\":null,\"unknown\":\"*could not be looked at within 1000 ms*" \
        "it does not answer: what is not known is said"
    like "$(blkbackctl list)" "*vbd-5-51712*InitWait*" "... the list does not ask it"
    kill -CONT "$fs_pid"
    is "$(field unknown)" null "it answers again"
    check "the disk detaches" detach xvda
    exits 0 "the worker ends with 0" ended "$worker"
    stop_recordfs
else
    skip "storage that does not answer" "no FUSE"
fi
assert_clean
done_testing
