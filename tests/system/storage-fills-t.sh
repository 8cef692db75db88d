#!/bin/bash
# The storage is full and an operator makes room (on-enospc=stop), in each cache mode: the guest waits, nothing is an error, and in the end all
# is there, what was written half way too. Not so with writethrough: what there is no room for may be another write's, which the page
# cache has taken, so it is an error, and the disk is latched (D5).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

[ "$(id -u)" = 0 ] || skip_all "only root can make a file system that is full"
small=$images/small
undo() {
    umount "$small" 2>/dev/null
}
make_small() {
    mkdir "$small" && mount -t tmpfs -o size=4m tmpfs "$small" 2>/dev/null && truncate -s 64M "$small/disk" &&
        blkback-vbd --check "$small/disk" >&2
}
make_small || skip_all "no small file system with direct I/O can be mounted"

is_stopped() {
    [[ $(xenstore-read "$be/stopped" 2>/dev/null) == *"until blkbackctl resume" ]]
}

# fill PAGES: but for so many
fill() {
    local free

    free=$(df --output=avail -B 4096 "$small" | tail -n 1)
    fallocate -l $(((free - $1) * 4096)) "$small/filler"
}

for mode in none directsync writeback unsafe; do
    truncate -s 0 "$small/disk" && truncate -s 64M "$small/disk"
    check "$mode: the disk is served" serve "$small/disk,cache=$mode,on-enospc=stop"
    guest_open
    tell "write 0 88 pattern=seed:1"
    check "... there is room at first" hear "write 0 88: status 0"
    check "... then for five pages only" fill 5
    tell "write 8000 88 pattern=seed:2" "write 0 88 pattern=seed:3" "write 16000 88 pattern=seed:4" \
        "read 8000 88 expect=seed:2" "read 0 88 expect=seed:3" "read 16000 88 expect=seed:4"
    check "... it stops" eventually is_stopped
    like "$(blkbackctl list)" "*Stopped*" "... blkbackctl says so"
    check "... without room it goes on" blkbackctl resume 5/xvda
    check "... and stops again" eventually is_stopped
    check "... room is made" rm "$small/filler"
    check "... it goes on" blkbackctl resume 5/xvda
    check "... what was full is written" hear "read 8000 88: status 0 data ok"
    check "... what waited, too" hear "read 16000 88: status 0 data ok"
    exits 0 "... nothing was wrong for the guest" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    check "... the next guest finds it" serve "$small/disk,cache=$mode"
    check "... all of it" guest_io "read 8000 88 expect=seed:2" "read 0 88 expect=seed:3" "read 16000 88 expect=seed:4"
    check "... that disk detaches" detach xvda
    exits 0 "... its worker ends with 0" ended "$worker"
done

check "writethrough: the disk is served" serve "$small/disk,cache=writethrough,on-enospc=stop"
guest_open
check "... there is no room" fill 0
tell "write 24000 88 pattern=seed:5 status=-1" "write 0 8 pattern=6 status=-1" "read 8000 88 expect=seed:2"
check "... a write is an error" hear "write 24000 88: status -1"
check "... and puts others in doubt" hear "write 0 8: status -1"
check "... reading goes on" hear "read 8000 88: status 0 data ok"
check "... room is made" rm "$small/filler"
check "... the loss is accepted" blkbackctl clear-fault 5/xvda --accept-loss
tell "write 24000 88 pattern=seed:7" "read 24000 88 expect=seed:7"
check "... it is written" hear "read 24000 88: status 0 data ok"
exits 0 "... nothing else was wrong" guest_close
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
assert_clean
done_testing
