# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The kernel's own backend is loaded when a disk is attached to a running guest, which agrees with the kernel on
# two queues before the worker comes, which offers one for dom0's one processor. The attach fails and says what to
# do; nothing else suffers.
guest=pv
vcpus=2
disks='xvda=64M'
seconds=300
# That of the worker and of blkbackd about it, also as it closes the disk; and what Linux says when its backend
# agrees with a guest, which is no complaint.
tolerate='xen-blkback was faster|exited with code 8|is being taken away|exited with code 3|xen-blkback: backend/vbd/.*: using'

in_guest() {
    await_disk xvda
    echo "RUNNING."
    read -r _
    verify-io random /dev/xvda count=500
}

in_dom0() {
    modprobe xen-blkback max_queues=2
    truncate -s 32M "$(image xvdb)"
    guest_start
    console_await 'RUNNING\.' 120
    await 15 workers_are 1 || fail "there is no worker"
    if xl block-attach "$name" "$(disk_line xvdb=32M)" >/run/said 2>&1; then fail "the attach succeeds"; fi
    cat /run/said
    grep 'has agreed with it on what is not served here: detach the disk' /run/said || fail "xl does not say what to do"
    xl block-detach "$name" xvdb || true
    guest_tell go
    guest_finish
    await_workers_end
    rmmod xen-blkback
}
