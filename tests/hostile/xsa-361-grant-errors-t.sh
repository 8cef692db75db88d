#!/bin/bash
# Grants that are not what they should be: read-only ones for the ring and for data, and pages taken back
# while they are mapped. The guest harms itself only.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# Pages beside those of blkfront-io, granted by another process of the guest
pages_open() {
    coproc pages { exec_guest grant-pages "$@"; }
    exec {to_pages}>&"${pages[1]}" {from_pages}<&"${pages[0]}"
    read -r -t "$deadline" -u "$from_pages" gref
}

pages_ask() {
    local answer

    echo "$1" >&"$to_pages"
    read -r -t "$deadline" -u "$from_pages" answer
    echo "$answer"
}

pages_close() {
    # shellcheck disable=SC2154 # coproc sets it
    local pid=$pages_PID

    exec {to_pages}>&- {from_pages}<&-
    kill "$pid"
    wait "$pid" 2>/dev/null
}

image=$(new_image disk 1M)
qemu-io -f raw -c "write -P 7 0 1M" "$image" >&2
check "the disk is attached" xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
start_worker
guest_open
await "$fe/state" 3
pages_open --read-only 1
as_guest xenstore-write device/vbd/51712/ring-ref "$gref"
hotplug add
refuses "a ring that is granted read-only is refused" guest_close
like "$(xenstore-read "$be/hotplug-error")" "*ring-ref $gref*read-write*" "... hotplug-error says why"
pages_close

for guest in persistent=1 persistent=0; do
    pages_open --read-only 1 0x33
    check "$guest: a read-only page can be written from, not read into" guest_io --$guest \
        "request op=1 sector=80 segs=0-7 gref=$gref status=0" "read 80 8 expect=0x33" \
        "request op=0 sector=0 segs=0-7 gref=$gref status=-1" "read 0 8 expect=7" \
        "request op=1 sector=88 segs=0-7 gref=$gref status=0" "read 88 8 expect=0x33"
    is "$(pages_ask show)" 0x33 "$guest: the page has not changed"
    pages_close
    pages_open 1 0x44
    check "$guest: an ordinary page is filled" guest_io --$guest "request op=0 sector=0 segs=0-7 gref=$gref status=0"
    is "$(pages_ask show)" 0x07 "$guest: ... with what the disk has"
    check "$guest: only the segment is" guest_io --$guest "request op=0 sector=80 segs=3-3 gref=$gref status=0"
    is "$(pages_ask show)" mixed "$guest: ... and nothing around it"
    pages_close
done

# A page that is mapped for good, and taken back nevertheless. Its memory stays until it is let go.
pages_open 1 0x55
guest_open
tell "request op=1 sector=160 segs=0-7 gref=$gref status=0"
check "a persistent grant" hear "request*: status 0"
is "$(pages_ask revoke)" revoked "is revoked while it is mapped"
tell "request op=1 sector=168 segs=0-7 gref=$gref status=any" "read 160 8 expect=0x55" "write 176 8 pattern=1" \
    "read 176 8 expect=1" close
check "the disk goes on" hear "read 160 8: status 0 data ok"
check "with other grants" hear "read 176 8: status 0 data ok"
check "and lets go at the end" hear "close: backend Closed"
exits 0 "nothing else was wrong" guest_close
pages_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
