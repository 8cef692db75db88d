# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The kernel's own backend is loaded, and binds to every new disk of kind vbd. The worker takes the disk over
# before the guest runs: the guest finds nothing of the kernel's, and dom0's kernel complains about nothing.
guest=pv
disks='xvda=64M xvdb=32M'
disk_options=',features-off=indirect' # so that such a node could only be the kernel's

in_guest() {
    await_disk xvda
    await_disk xvdb
    echo "HAVE BOTH."
    verify-io random /dev/xvda count=1000
    verify-io random /dev/xvdb count=500
}

in_dom0() {
    modprobe xen-blkback
    guest_start
    console_await 'HAVE BOTH\.'
    for device in 51712 51728; do
        node=/sys/bus/xen-backend/devices/vbd-$(guest_id)-$device
        [ -e "$node" ] || fail "the kernel has not noticed the disk $device: this shows nothing"
        [ ! -e "$node/driver" ] || fail "the kernel's driver is bound to the disk $device"
        foreign=$(xenstore-ls "/local/domain/0/backend/vbd/$(guest_id)/$device" | grep feature-max-indirect) &&
            fail "the kernel's offers are left: $foreign"
    done
    [ "$(grep -c 'taken over from the kernel' /var/log/blkback/blkbackd.log)" = 2 ] || fail "the workers have taken nothing over"
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    rmmod xen-blkback
}
