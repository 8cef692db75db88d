#!/bin/bash
# From the page cache to a guest and back: what was written through it, by whatever way to the same blocks, is what the guest reads; while the
# guest works nothing of its image is there; and when it has left, whoever reads through a page cache reads what it wrote.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

loop_device=
undo() {
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
}

# put NODE PATTERN: twice 64 KiB, left in its page cache, as QEMU with cache=writeback does; of the second no guest has anything
put() {
    local mib

    for mib in 0 4; do
        head -c 65536 /dev/zero | tr '\0' "\\$(printf %o "$2")" |
            dd of="$1" bs=65536 seek=$((mib * 16)) conv=notrunc status=none || return 1
    done
}

# has NODE PATTERN: what its page cache, or what is below, says
has() {
    [ "$(dd if="$1" bs=512 count=1 status=none | od -A n -t u1 -N 1 | tr -d ' ')" = "$2" ]
}

nr_pages() {
    pagecache "$1"
}

image=$(new_image disk 8M)

# ---- the image itself ----------------------------------------------------------------------------

check "a disk on it is served" serve "$image"
check "it is written through the page cache" put "$image" 1
[ "$(nr_pages "$image")" -gt 0 ]
ok $? "... and there it is"
guest_open
tell "read 0 88 expect=1" "write 0 88 pattern=2"
check "a guest reads what was written" hear "read 0 88: status 0 data ok"
check "... and writes" hear "write 0 88: status 0"
is "$(nr_pages "$image")" 0 "... nothing is in the page cache"
exits 0 "it leaves" guest_close
check "what it wrote is there for others" has "$image" 2
check "it comes back, and nothing is in the page cache" guest_io "read 0 88 expect=2"
is "$(nr_pages "$image")" 0 "... nor afterwards"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm "$log"

# ---- pages that nobody can drop --------------------------------------------------------------------

check "a disk on it is served" serve "$image"
guest_open
tell "write 0 8 pattern=2"
check "its guest writes" hear "write 0 8: status 0"
mkfifo "$work/hold"
env -u LD_PRELOAD hold-mapped "$image" <"$work/hold" >"$work/held" &
holder=$!
exec {hold}>"$work/hold"
check "somebody maps a page of it" await_line "$work/held" mapped
exits 0 "the guest leaves" guest_close
check "... and the log says what stays, and who keeps it" await_line "$log" "firmware reads .* [0-9]* pages stay .* hold-mapped (pid $holder, has it mapped)"
check "it comes, which the log says, too" guest_io "read 0 8 expect=2"
check "... and leaves once more" await_line "$log" "what others read there .* hold-mapped (pid $holder"
is "$(grep -c "firmware reads" "$log")" 1 "... of which the log says no more"
exec {hold}>&-
wait "$holder"
check "when it is let go the guest comes and leaves once more" guest_io "read 0 8 expect=2"
is "$(nr_pages "$image")" 0 "... and nothing is in the page cache"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm "$log"

# ---- before QEMU starts ----------------------------------------------------------------------------

check "it is written through the page cache" put "$image" 9
is "$(blkback-vbd --check "$image" | wc -l)" 1 "a check says what there is"
[ "$(nr_pages "$image")" -gt 0 ]
ok $? "... and leaves the page cache alone"
check "the hotplug script's add" attach xvda "$image"
is "$(nr_pages "$image")" 0 "... empties it"
check "... its guest reads what was written" guest_io "read 0 88 expect=9"
check "the disk detaches" detach xvda

# ---- who goes through the page cache as well -----------------------------------------------------

check "a disk in the mode writeback is served" serve "$image,cache=writeback"
check "it is written through the page cache" put "$image" 3
check "... its guest reads that" guest_io "read 0 88 expect=3" "write 0 88 pattern=4"
[ "$(nr_pages "$image")" -gt 0 ]
ok $? "... and leaves it in the page cache"
check "... where others find it" has "$image" 4
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm "$log"

# ---- another way to the same blocks --------------------------------------------------------------

other_way() {
    local held

    # The kernel empties a device's page cache when nobody has it open any more.
    exec {held}<"$loop_device"
    ok $? "there is a loop device over the image, and somebody has it open"
    check "a disk on the image is served" serve "$image"
    check "it is written through the device's page cache" put "$loop_device" 5
    guest_open
    tell "read 0 88 expect=5" "write 0 88 pattern=6"
    check "a guest reads what was written" hear "read 0 88: status 0 data ok"
    check "... and writes" hear "write 0 88: status 0"
    # As firmware might, before the guest writes once more.
    check "others read it through the device" has "$loop_device" 6
    tell "write 0 88 pattern=7"
    check "... the guest writes again" hear "write 0 88: status 0"
    exits 0 "it leaves" guest_close
    check "... and others read what it wrote last" has "$loop_device" 7
    exec {held}<&-
    check "the disk detaches" detach xvda
    exits 0 "the worker ends with 0" ended "$worker"
    rm "$log"

    check "a disk on the device is served" serve "$loop_device"
    check "... its guest writes" guest_io "write 0 88 pattern=8"
    check "... what is read from the file is that" has "$image" 8
    check "the disk detaches" detach xvda
    exits 0 "the worker ends with 0" ended "$worker"
    rm "$log"
}

if [ "$(id -u)" = 0 ] && loop_device=$(losetup --find --show "$image" 2>/dev/null); then
    other_way
    check "the device is given back" losetup -d "$loop_device"
    loop_device=
else
    skip "another way to the same blocks" "no loop device to be had"
fi
assert_clean
done_testing
