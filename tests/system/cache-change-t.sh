#!/bin/bash
# The cache mode of a running disk is changed under load: by the operator, the toolstack, the guest. No request fails, no byte is
# lost, and the kernel says that the image is open as it should be.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# opened: O_DIRECT and O_DSYNC of all of them
opened() {
    local flags

    for flags in $(image_flags "$image"); do
        printf '%d %d\n' "$(((flags & 040000) != 0))" "$(((flags & 010000) != 0))"
    done
}

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

# has_node NAME PATTERN
has_node() {
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $(node "$1") == $2 ]]
}

guest_writes() {
    as_guest xenstore-write "$fe/$1" "$2"
}

# The number the next descriptor would have
free_fd() {
    local fd=0

    while [ -e "/proc/$worker/fd/$fd" ]; do
        fd=$((fd + 1))
    done
    echo "$fd"
}

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
guest_open
tell info
hear "info:*" >/dev/null

# Every mode after every other, by the operator
n=0
for mode in directsync writeback none writethrough unsafe none unsafe directsync unsafe writeback directsync writethrough none writeback writethrough; do
    n=$((n + 1))
    tell "write $((n * 8)) 8 pattern=$n"
    check "to $mode" blkbackctl set-cache 5/xvda "$mode"
    tell "read $((n * 8)) 8 expect=$n" flush
    check "... what was written is there" hear "read $((n * 8)) 8: status 0 data ok"
    check "... a flush works" hear "flush: status 0"
    case $mode in
        none) wanted="1 0" ;;
        directsync) wanted="1 1" ;;
        writethrough) wanted="0 1" ;;
        *) wanted="0 0" ;;
    esac
    is "$(opened)" "$wanted" "... the image is open once, as it should be"
    [ "${wanted% *}" = 0 ] || is "$(pagecache "$image")" 0 "... the page cache has nothing of it any more"
    is "$(node cache-mode-active) $(node cache-mode)" "$mode $mode" "... the store says so"
    is "$(node write-cache)" "$((1 - ${wanted#* }))" "... and whether there is a write cache"
done

# By the toolstack, as a level: what is there is looked at.
check "the toolstack asks for none" xenstore-write "$be/cache-mode" none
check "... and gets it" await "$be/cache-mode-active" none
is "$(node cache-mode-error)" "" "... without an error"
check "... for nonsense" xenstore-write "$be/cache-mode" fast
check "... and gets a reason" eventually has_node cache-mode-error "*is malformed*none, directsync*"
is "$(node cache-mode-active)" none "... all stays as it was"
check "... for volatile" xenstore-write "$be/cache-mode" volatile
check "... and gets unsafe" await "$be/cache-mode-active" unsafe
is "$(node cache-mode-error)" "" "... the reason is gone"
check "... an unsafe disk is loud in the log" await_line "$log" "warning:.*cache mode unsafe"

# What others have read through the page cache the guest does not find there later.
check "back to none" blkbackctl set-cache 5/xvda none
dd if="$image" of=/dev/null bs=64k status=none
is "$(($(pagecache "$image") > 0))" 1 "... somebody reads the image"
check "... to writeback" blkbackctl set-cache 5/xvda writeback
is "$(pagecache "$image")" 0 "... the page cache has forgotten it"
check "... to unsafe" blkbackctl set-cache 5/xvda unsafe

# The guest's own wish: of a disk that is unsafe there is no asking.
check "the guest asks for no write cache" guest_writes write-cache-request 0
check "... of an unsafe disk, and gets a reason" eventually has_node write-cache-error "*unsafe*"
check "back to none" blkbackctl set-cache 5/xvda none
check "... which the guest asks to be without a write cache" guest_writes write-cache-request 0
check "... it is" await "$be/write-cache" 0
is "$(node cache-mode-active) $(node cache-mode)" "directsync none" "... for as long as it stays"
is "$(opened)" "1 1" "... the image is open like that"
is "$(node write-cache-error)" "" "... the reason is gone"
refuses "... neither the operator gives it a write cache then" blkbackctl set-cache 5/xvda writeback
check "... nor the toolstack" xenstore-write "$be/cache-mode" writeback
check "... who gets a reason" eventually has_node cache-mode-error "*turned its write cache off*connects anew"
is "$(node cache-mode-active) $(node write-cache)" "directsync 0" "... it stays off"
check "... none is configured" xenstore-write "$be/cache-mode" none
check "... once more with a reason" eventually has_node cache-mode-error "*turned its write cache off*connects anew"
check "... for nonsense" guest_writes write-cache-request maybe
check "... and gets a reason" eventually has_node write-cache-error "*neither 0 nor 1*"
check "... for its write cache again" guest_writes write-cache-request 1
check "... and has it" await "$be/write-cache" 1
is "$(node cache-mode-active)" none "... which is the mode that is configured"
check "... to be without it once more" guest_writes write-cache-request 0
check "... it is" await "$be/write-cache" 0
exits 0 "nothing was wrong all that time" guest_close
guest_open
tell info
like "$(hear "info:*")" "* flush=1 barrier=1 *" "the next driver finds"
is "$(node cache-mode-active) $(node write-cache)" "none 1" "... the mode that is configured, whatever its node says still"

# A driver that was offered no flush is not given a write cache; the next one is.
check "directsync for the next connection, too" blkbackctl set-cache 5/xvda directsync
exits 0 "the guest leaves" guest_close
guest_open
tell info
like "$(hear "info:*")" "* flush=0 barrier=0 *" "the next one sees a write-through disk"
refuses "... and none is refused" blkbackctl set-cache 5/xvda none
refuses "... so is unsafe" blkbackctl set-cache 5/xvda unsafe
check "... writethrough is not" blkbackctl set-cache 5/xvda writethrough
check "... the toolstack asks for writeback" xenstore-write "$be/cache-mode" writeback
check "... and gets a reason" eventually has_node cache-mode-error "*neither flush nor barrier*connects anew*"
check "... the guest for its write cache" guest_writes write-cache-request 1
check "... and gets a reason" eventually has_node write-cache-error "*no write cache to be turned on"
is "$(node cache-mode-active) $(node write-cache)" "writethrough 0" "... all stays as it was"
exits 0 "the guest leaves" guest_close
check "set-cache without a guest" blkbackctl set-cache 5/xvda none
is "$(node cache-mode)" none "... is for the next one"

# What cannot be had: the old mode stays, with its descriptor.
guest_open
tell info
hear "info:*" >/dev/null
check "the file loses its name" rm "$image"
check "... its mode can be changed all the same" blkbackctl set-cache 5/xvda writeback
tell "write 0 8 pattern=6" "read 0 8 expect=6" flush
check "... it is served" hear "flush: status 0"
check "the worker may open no more files" prlimit --nofile="$(free_fd):" --pid "$worker"
refuses "... blkbackctl is turned away" blkbackctl show 5/xvda
check "... the toolstack" xenstore-write "$be/cache-mode" directsync
check "... hears of it in the store" eventually has_node cache-mode-error "*Too many open files: raise the limit*"
tell "write 0 8 pattern=7" "read 0 8 expect=7" flush
check "... reading and writing works" hear "read 0 8: status 0 data ok"
check "... so does flushing" hear "flush: status 0"
is "$(node cache-mode-active) $(opened)" "writeback 0 0" "... as before"
check "when it may again" prlimit --nofile=1024: --pid "$worker"
check "... it does" blkbackctl set-cache 5/xvda directsync
refuses "no such mode" blkbackctl set-cache 5/xvda fast
exits 2 "a mode is needed" blkbackctl set-cache 5/xvda
exits 0 "nothing was wrong" guest_close
is "$(grep -c "in_flight=0 refused=0 failed=0$" "$log")" "$(grep -c "served reads" "$log")" "no request failed, ever"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
