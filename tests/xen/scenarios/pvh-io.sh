# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A PVH guest reads and writes its disk, makes a file system on it and finds its files again.
guest=pvh
disks='xvda=256M'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'persistent grants: enabled'
    verify-io random /dev/xvda block=4096 depth=32 count=1500 flush=50
    verify-io random /dev/xvda block=262144 depth=8 count=150 flush=10
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total flushes -gt 20
    expect_total segments_copied -eq 0
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
