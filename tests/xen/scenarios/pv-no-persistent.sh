# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The guest does not want persistent grants: its data are copied by the hypervisor, none of its pages but
# the ring is mapped.
guest=pv
disks='xvda=256M'
parameters='blkfront.feature_persistent=0'

in_guest() {
    await_disk xvda
    expect_blkfront xvda 'persistent grants: disabled'
    verify-io random /dev/xvda block=512 depth=32 count=500 flush=50 seed=1
    verify-io random /dev/xvda block=4096 depth=32 count=1500 flush=50 seed=2
    verify-io random /dev/xvda block=262144 depth=8 count=150 flush=10 seed=3
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total indirect -gt 10
    expect_total segments_copied -gt 5000
    expect_total segments_mapped -eq 0
    expect_total segments_persistent -eq 0
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
