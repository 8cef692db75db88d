# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A PV guest reads and writes its disk in requests of all sizes, makes a file system on it and finds its
# files again. Pages stay mapped (persistent grants), and flushes arrive.
guest=pv
disks='xvda=256M'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'flush diskcache: enabled'
    expect_blkfront xvda 'persistent grants: enabled'
    verify-io random /dev/xvda block=512 depth=32 count=1000 flush=50 seed=1
    verify-io random /dev/xvda block=4096 depth=32 count=1500 flush=50 seed=2
    verify-io random /dev/xvda block=65536 depth=16 count=300 flush=20 seed=3
    verify-io random /dev/xvda block=1048576 depth=4 count=60 flush=10 seed=4
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total flushes -gt 30
    expect_total segments_persistent -gt 10000
    expect_total segments_copied -eq 0
    expect_total indirect -gt 100
    expect_total refused -eq 0
    expect_total failed -eq 0
    # The image, seen without the guest.
    e2fsck -fn "$(image xvda)"
}
