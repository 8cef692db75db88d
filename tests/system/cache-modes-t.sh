#!/bin/bash
# Each cache mode: how the image is opened, what the guest is told and offered, what a flush and a barrier cost, and what the
# host's page cache has of it under load. The kernel says so: descriptors' flags, system calls by strace.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# served NAME: the last figure of that name in the worker's log
served() {
    grep -o " $1=[0-9]*" "$log" | tail -n 1 | cut -d= -f2
}

# is_open_as NAME: whether it is, 0 or 1
is_open_as() {
    local bit

    case $1 in
        O_DIRECT) bit=$(((flags & 040000) != 0)) ;;
        O_DSYNC) bit=$(((flags & 010000) != 0)) ;;
    esac
    echo "$bit"
}

image=$(new_image disk 4M)

# mode; O_DIRECT, O_DSYNC, whether flush and barrier are offered, their fdatasyncs; pages in the page cache after a load; a warning
while read -r mode direct dsync offered flush_syncs barrier_syncs cached loud; do
    status=$((offered ? 0 : -2))
    check "$mode: the disk is served" serve "$image,cache=$mode"
    guest_open
    tell info "write 0 88 pattern=3" "read 0 88 expect=3" "write 1000 8 pattern=4"
    like "$(hear "info:*")" "* flush=$offered barrier=$offered *" "... the guest is told of flush and barrier: $offered"
    check "... reading and writing works" hear "read 0 88: status 0 data ok"
    flags=$(image_flags "$image")
    is "$(is_open_as O_DIRECT) $(is_open_as O_DSYNC)" "$direct $dsync" "... O_DIRECT and O_DSYNC"
    is "$(xenstore-read "$be/cache-mode-active" "$be/write-cache" | paste -sd' ')" "$mode $((1 - dsync))" "... the store says so"
    like "$(blkbackctl show --json "5/xvda")" "*\"cache\":\"$mode\"*" "... and so does blkbackctl"
    tell "flush status=$status" "barrier status=$status" "barrier 16 8 pattern=5 status=$status"
    check "... a flush has status $status" hear "flush: status $status"
    check "... a barrier has status $status" hear "barrier: status $status"
    check "... so has one with data" hear "barrier 16 8: status $status"
    exits 0 "... nothing else was wrong" guest_close
    is "$(served fdatasyncs)" "$((flush_syncs + barrier_syncs))" "... so many fdatasyncs"
    check "... the image has it" qemu-io -f raw -r -U -c "read -P 3 0 8192" -c "read -P 4 512000 4096" "$image"
    dd if="$image" iflag=nocache count=0 status=none
    # shellcheck disable=SC2016 # for the shell of nbdkit
    check "... a load" with_nbd "" 'qemu-io -f raw -t none -c "write -P 9 0 2M" -c "read -P 9 0 2M" "$uri"'
    is "$(($(pagecache "$image") > 0))" "$cached" "... the page cache has of it: $cached"
    is "$(grep -c "cache=$mode" "$log")" 2 "... the log says which mode it is, of each connection"
    is "$(($(grep -c "warning:.*cache mode unsafe" "$log") > 0))" "$loud" "... and is loud about unsafe alone"
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    rm "$log"
done <<'TABLE'
none 1 0 1 1 3 0 0
directsync 1 1 0 0 0 0 0
writethrough 0 1 0 0 0 1 0
writeback 0 0 1 1 3 1 0
unsafe 0 0 1 0 0 1 1
TABLE
assert_clean
done_testing
