# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A disk of each cache mode, one after the other. The guest sees a write cache where there is one. So many fsyncs in the
# guest are so many flushes at the worker, and each has an fdatasync; without a write cache no flush comes; an unsafe disk
# answers flushes and does nothing. The page cache of dom0 has nothing of a disk with direct I/O. How long a write and an
# fsync took is told, and no matter.
guest=pv
modes='none directsync writethrough writeback unsafe'
tolerate='barrier or flush: disabled|cache mode unsafe'
seconds=900

in_guest() {
    for mode in $modes; do
        await_disk xvda
        echo "SEES $mode $(cat /sys/block/xvda/queue/write_cache)."
        read -r _
        verify-io random /dev/xvda size=16777216 block=4096 depth=1 reads=0 flush=1 count=200 | sed "s/^verify-io: right/SYNCED $mode/"
        read -r _
        busy_until_told xvda
        await_not 120 test -b /dev/xvda || fail "$mode: the disk stays"
    done
}

# What the guest said of the mode. $1: the word
guest_said() {
    sed -n "s/^$1 $mode \(.*\)/\1/p" "$(console)" | tr -d '\r'
}

# The guest does its fsyncs: $asked. Meanwhile the worker counted: $flushed, $synced.
count_fsyncs() {
    look xvda "$id"
    flushed=$(shown flushes)
    synced=$(shown syncs)
    guest_tell "count them"
    console_await "^SYNCED $mode .*flush_us"
    look xvda "$id"
    flushed=$(($(shown flushes) - flushed))
    synced=$(($(shown syncs) - synced))
    said=$(guest_said SYNCED)
    asked=$(echo "$said" | sed -n 's/.*flushes=\([0-9]*\).*/\1/p')
    note "$mode: $said"
    note "$mode: $asked fsyncs were $flushed flushes and $synced fdatasyncs"
    [ "$asked" -ge 100 ] || fail "$mode: the guest did only $asked fsyncs"
}

# $1: O_DIRECT and O_DSYNC, $2: what the guest sees, $3: whether it has a write cache, 0 or 1, and sends flushes,
# $4: whether each has an fdatasync, $5: whether the page cache has some of it
expect_mode() {
    console_await "^SEES $mode "
    [ "$(guest_said SEES)" = "$2." ] || fail "$mode: the guest sees '$(guest_said SEES)'"
    count_fsyncs
    [ "$(open_flags)" = "$1" ] || fail "$mode: O_DIRECT and O_DSYNC are $(open_flags)"
    [ "$(shown cache)" = "$mode" ] || fail "$mode: the worker says $(shown cache)"
    [ "$(backend_node cache-mode-active)" = "$mode" ] || fail "$mode: the store says $(backend_node cache-mode-active)"
    [ "$(backend_node write-cache)" = "$3" ] || fail "$mode: the store says write-cache=$(backend_node write-cache)"
    [ "$flushed" = $(($3 * asked)) ] || fail "$mode: $flushed flushes came of $asked fsyncs"
    case $4 in
    0) [ "$synced" = 0 ] || fail "$mode: $synced fdatasyncs were made" ;;
    *) [ "$synced" -ge "$asked" ] || fail "$mode: $synced fdatasyncs were made for $asked fsyncs" ;;
    esac
    guest_tell "be busy"
    await_progress xvda
    cached=$(fincore --bytes --noheadings --output PAGES "$(image "$mode")")
    note "$mode: the page cache has $((cached)) pages of it"
    [ $((cached > 0)) = "$5" ] || fail "$mode: the page cache has $cached pages of it"
    await_progress xvda
    guest_tell enough
}

in_dom0() {
    guest_start
    id=$(guest_id)
    while read -r mode direct dsync sees flush sync cached; do
        truncate -s 32M "$(image "$mode")"
        xl block-attach "$name" "$(disk_line "xvda=$(image "$mode"),cache=$mode")"
        expect_mode "$direct $dsync" "write $sees" "$flush" "$sync" "$cached"
        # Not before the load has read again what it wrote.
        await 180 has_verified || fail "$mode: the load does not end"
        xl block-detach "$name" xvda
        await_workers_end
        grep -q "cache=$mode " /var/log/blkback/*.log || fail "$mode: the log does not say so"
    done <<END
none 1 0 back 1 1 0
directsync 1 1 through 0 0 0
writethrough 0 1 through 0 0 1
writeback 0 0 back 1 1 1
unsafe 0 0 back 1 0 1
END
    guest_finish
    expect_total failed -eq 0
    expect_total refused -eq 0
}

# The load of each mode so far.
has_verified() {
    [ "$(grep -c '^verify-io: right' "$(console)")" = "$(grep -c '^SYNCED' "$(console)")" ]
}
