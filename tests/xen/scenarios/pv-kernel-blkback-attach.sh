# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The kernel's own backend is loaded when a disk is attached to a running guest. The guest has agreed with the
# kernel, on a ring of two pages, before the worker comes. Where that fits what is served here, the disk is taken
# over; see pv-kernel-blkback-attach-refused for where it does not.
guest=pv
parameters='blkfront.max_ring_page_order=1'
disks='xvda=64M'
seconds=300
# What Linux says when its backend agrees with a guest, which is no complaint.
tolerate='xen-blkback: backend/vbd/.*: using'

in_guest() {
    await_disk xvda
    echo "RUNNING."
    for round in 1 2 3; do
        await 60 test -b /dev/xvdb || fail "round $round: no disk"
        verify-io random /dev/xvdb count=200
        echo "USED $round."
        await_not 60 test -b /dev/xvdb || fail "round $round: the disk stays"
    done
}

in_dom0() {
    modprobe xen-blkback
    truncate -s 32M "$(image xvdb)"
    guest_start
    console_await 'RUNNING\.'
    for round in 1 2 3; do
        xl block-attach "$name" "$(disk_line xvdb=32M)"
        console_await "USED $round\."
        xl block-detach "$name" xvdb
        await 15 workers_are 1 || fail "round $round: the worker has not ended"
    done
    [ "$(grep -c 'taken over from the kernel' /var/log/blkback/blkbackd.log)" = 4 ] || fail "the workers have not taken all over"
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    rmmod xen-blkback
}
