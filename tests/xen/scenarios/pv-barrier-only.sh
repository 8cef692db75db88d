# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A disk that offers barriers and no flushes: the guest makes its data durable with barriers.
guest=pv
disks='xvda=128M'
disk_options=',features-off=flush-cache'
tolerate='barrier: enabled'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'barrier: enabled'
    verify-io random /dev/xvda block=4096 depth=32 count=1500 flush=50
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total barriers -gt 30
    expect_total flushes -eq 0
    expect_total refused -eq 0
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
