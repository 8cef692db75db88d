# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The kernel's own backend is loaded while a guest uses a disk of ours. The kernel binds to it and tells the
# guest to let go, which nobody can prevent: the guest loses the disk. But never do both serve it, what was
# synced is in the image, the worker says what happened, and the disk attached anew is served.
guest=pv
disks='xvda=64M'
seconds=240
# Linux complains that its backend could not have the event channel, which is what we want, and the guest
# that its disk has gone.
tolerate='xen-blkback: backend/vbd/.*: using|xen-blkback/xenbus\.c|xen_blkif_disconnect|Call Trace|Modules linked in|has told the guest to let go|xvda|I/O error'

in_guest() {
    await_disk xvda
    printf 'synced' | dd of=/dev/xvda bs=4k conv=sync,fsync 2>/dev/null
    echo "USED."
    while dd if=/dev/zero of=/dev/xvda bs=4k seek=8 count=64 conv=fsync 2>/dev/null; do :; done
    echo "LOST."
    await 60 test -b /dev/xvdb || fail "the disk attached anew is not there"
    verify-io random /dev/xvdb count=300
}

in_dom0() {
    guest_start
    console_await 'USED\.'
    modprobe xen-blkback
    console_await 'LOST\.'
    node=/sys/bus/xen-backend/devices/vbd-$(guest_id)-51712
    await 10 test ! -e "$node/driver" || fail "the kernel's driver is still bound"
    grep -q 'has told the guest to let go of it: unbound' /var/log/blkback/blkbackd.log || fail "the worker does not say so"
    [ "$(dd if="$(image xvda)" bs=4k count=1 2>/dev/null | tr -d '\0')" = synced ] || fail "what was synced is lost"
    xl block-detach "$name" xvda
    truncate -s 32M "$(image xvdb)"
    xl block-attach "$name" "$(disk_line xvdb=32M)"
    guest_finish
    await_workers_end
    rmmod xen-blkback
}
