# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A disk that offers neither barriers nor flushes: the guest takes it for one without a write cache, and so it is.
guest=pv
disks='xvda=128M'
disk_options=',features-off=flush-cache+barrier'
tolerate='barrier or flush: disabled'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'barrier or flush: disabled'
    [ "$(cat /sys/block/xvda/queue/write_cache)" = 'write through' ] || fail "the guest sees a write cache"
    verify-io random /dev/xvda block=4096 depth=32 count=1500
    file_system /dev/xvda
}

in_dom0() {
    guest_start
    console_await 'verify-io: right'
    for fd in /proc/"$(leftovers workers | sed 's/.* //')"/fdinfo/*; do
        # Octal: O_DSYNC is 010000
        # That which has the locks is not for I/O.
        [ "$(readlink "${fd%/*/*}/fd/${fd##*/}")" != "$(image xvda)" ] || grep -q '^lock:' "$fd" ||
            flags=$(sed -n 's/^flags:\t*//p' "$fd")
    done
    [ $((flags & 010000)) != 0 ] || fail "the image is not opened with O_DSYNC: $flags"
    guest_finish
    await_workers_end
    expect_total barriers -eq 0
    expect_total flushes -eq 0
    expect_total refused -eq 0
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
