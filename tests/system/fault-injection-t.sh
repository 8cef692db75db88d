#!/bin/bash
# Storage whose reads, writes and flushes fail one after another, in each cache mode: an error reaches the guest, or the request is
# kept (on-error=stop) and done after blkbackctl resume; what a mode cannot know to be lost or not latches the disk. The storage is
# nbdkit's plugin eval, seen as a file by FUSE: through the page cache, too. What error-policy-t has, with one mode and many policies, is not done again.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/nbd-file.sh
. "$(dirname "$0")/../lib/nbd-file.sh"

[ -w /dev/fuse ] || skip_all "no FUSE"
undo() {
    forget_nbd
}

# unless KIND [COMMAND]: for a script of the plugin: fail while there is that file; before it, what has to be done all the same
unless() {
    echo "if [ -e '$work/bad.$1' ]; then ${2:-:}; echo EIO 'as told' >&2; exit 1; fi"
}

break_storage() {
    : >"$work/bad.$1"
}

mend_storage() {
    rm "$work/bad.$1"
}

is_stopped() {
    [[ $(xenstore-read "$be/stopped" 2>/dev/null) == *"until blkbackctl resume" ]]
}

# fails KIND REQUEST [ARGUMENT]: asked for while the storage does not do it
fails() {
    break_storage "$1"
    tell "$2${3:+ $3} status=-1"
    check "... $1: is an error" hear "$2: status -1"
    mend_storage "$1"
}

is_kept() {
    break_storage "$1"
    tell "$2${3:+ $3}"
    check "... $1: is kept" eventually is_stopped
    mend_storage "$1"
    check "... the storage works again, and the disk goes on" blkbackctl resume 5/xvda
    check "... it is done" hear "$2: status 0*"
}

is_latched() {
    tell "write $((at + 1000)) 8 pattern=3 status=-1"
    check "... writes fail from then on" hear "write $((at + 1000)) 8: status -1"
    check "... the loss is accepted" blkbackctl clear-fault 5/xvda --accept-loss
}

store=$(new_image store 32M)
check "there is storage" start_nbd storage plainly nbdkit eval get_size="stat -c %s '$store'" can_flush="exit 0" \
    pread="$(unless read); dd if='$store' skip=\$4 count=\$3 iflag=count_bytes,skip_bytes status=none" \
    pwrite="$(unless write "cat >'$work/unread'"); dd of='$store' seek=\$4 conv=notrunc oflag=seek_bytes status=none" \
    flush="$(unless flush); exit 0"
[ "$nr_failed" = 0 ] || done_testing

at=0
# mode; policy; what becomes of a read, of a write, of a flush
while read -r mode policy reads writes flushes; do
    # Not where another round's pages may be cached.
    at=$((at + 4000))
    check "$mode, on-error=$policy: the disk is served" serve "$images/storage/disk,cache=$mode,on-error=$policy"
    guest_open
    tell "write $at 8 pattern=1"
    check "... works" hear "write $at 8: status 0"
    "$reads" read "read $((at + 800)) 8"
    "${writes%+*}" write "write $((at + 1600)) 8" pattern=2
    [ "$writes" != fails+is_latched ] || is_latched
    if [ "$flushes" = loses ]; then
        break_storage flush
        tell "flush status=-5"
        check "... flush: is an error" hear "flush: status -5"
        mend_storage flush
        check "... data may be lost" await "$be/data-lost" 1
        is_latched
    elif [ "$flushes" = ignored ]; then
        break_storage flush
        tell flush
        check "... flush: is nothing" hear "flush: status 0"
        mend_storage flush
    fi
    tell "write $((at + 1600)) 8 pattern=4" "read $((at + 1600)) 8 expect=4"
    check "... all works again" hear "read $((at + 1600)) 8: status 0 data ok"
    exits 0 "... nothing else was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    check "... the storage has it" qemu-io -f raw -r -U -c "read -P 1 $((at * 512)) 4096" -c "read -P 4 $(((at + 1600) * 512)) 4096" "$store"
    rm "$log"
done <<'TABLE'
none report fails fails loses
none stop is_kept is_kept loses
directsync stop is_kept fails+is_latched -
writethrough stop is_kept fails+is_latched -
writeback report fails fails loses
writeback stop is_kept is_kept loses
unsafe stop is_kept is_kept ignored
TABLE
check "the storage ends" stop_nbd storage
assert_clean
done_testing
