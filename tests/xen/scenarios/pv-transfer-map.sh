# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The guest does not want persistent grants, and its disk has transfer=map: its pages are mapped for each request and
# unmapped before the answer. blkfront takes its grants back right after, and complains if they are still in use.
guest=pv
disks='xvda=256M'
disk_options=',transfer=map'
parameters='blkfront.feature_persistent=0'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'persistent grants: disabled'
    verify-io random /dev/xvda block=512 depth=32 count=500 flush=50 seed=1
    verify-io random /dev/xvda block=4096 depth=32 count=1000 flush=50 seed=2
    verify-io random /dev/xvda block=262144 depth=8 count=100 flush=10 seed=3
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total segments_mapped -gt 5000
    expect_total segments_copied -eq 0
    expect_total segments_persistent -eq 0
    expect_total grants_over_limit -eq 0
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
