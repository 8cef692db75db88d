#!/bin/bash
# The storage is gone for good, as with a cable that is cut: whatever the guest asks for is an error, or is kept until it is too late; the
# worker lives, says that data may be lost, and can be detached. With the storage back the disk is attached anew. Before that it
# stalls for a while, in each mode, which the log says.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/nbd-file.sh
. "$(dirname "$0")/../lib/nbd-file.sh"

[ -w /dev/fuse ] || skip_all "no FUSE"
undo() {
    forget_nbd
}

# pause_nbd p|r: from now on nbdkit does nothing; it goes on
pause_nbd() {
    perl -MIO::Socket::UNIX -e '$s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "no socket: $!";
        print $s $ARGV[1]; $s->flush; exit !read($s, $x, 1)' "$work/pause" "$1"
}

is_stopped() {
    [[ $(xenstore-read "$be/stopped" 2>/dev/null) == *"not connected"*"until blkbackctl resume" ]]
}

store=$(new_image store 16M)

# mode; policy; whether flushes are offered
while read -r mode policy offered; do
    what="$mode, on-error=$policy"
    check "$what: there is storage" start_nbd storage plainly nbdkit --filter=pause file "$store" pause-control="$work/pause"
    check "... it is served" serve "$images/storage/disk,cache=$mode,on-error=$policy,timeout=1"
    guest_open
    tell "write 0 8 pattern=1"
    check "... and works" hear "write 0 8: status 0"
    check "... it stalls" pause_nbd p
    tell "write 8 8 pattern=2"
    check "... which the log says" await_line "$log" "warning: the storage does not answer: 1 I/Os wait, for up to [1-9]"
    check "... it goes on" pause_nbd r
    check "... the write is done" hear "write 8 8: status 0"
    check "... the log says that, too" await_line "$log" "warning: the storage answers again"

    check "... it vanishes" kill_nbd storage
    if [ "$policy" = report ]; then
        tell "read 80 8 status=-1" "write 80 8 pattern=3 status=-1" "flush status=$((offered ? -5 : -2))"
        check "... a read is an error" hear "read 80 8: status -1"
        check "... a write, too" hear "write 80 8: status -1"
        check "... so is a flush" hear "flush: status -[25]"
        exits 0 "... nothing else was wrong" guest_close
    else
        tell "read 80 8 status=-1"
        check "... a read is kept" eventually is_stopped
        check "... done again it is kept again" blkbackctl resume 5/xvda
        check "... for the storage has not come back" eventually is_stopped
        # A guest that waits for it does not leave by itself.
        check "... the worker is told to end" kill -TERM "$worker"
        check "... and answers what it kept" hear "read 80 8: status -1"
        guest_kill
    fi
    if [ "$policy" = report ]; then
        detach xvda >&2
    fi
    exits 7 "... the worker ends, and says that data may be lost" ended "$worker"
    ! xenstore-exists "$be" 2>/dev/null || withdraw
    check "... so does the log" grep -q "data the guest wrote may be lost" "$log"
    rm "$log"

    check "... the storage is back" start_nbd storage plainly nbdkit file "$store"
    check "... it is attached anew" serve "$images/storage/disk,cache=$mode"
    check "... and has what was answered" guest_io "read 0 8 expect=1" "read 8 8 expect=2" "write 80 8 pattern=4" "read 80 8 expect=4"
    check "... it detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    check "... the storage ends" stop_nbd storage
    rm "$log"
done <<'TABLE'
none report 1
none stop 1
directsync report 0
writeback report 1
writeback stop 1
TABLE
assert_clean killed
done_testing
