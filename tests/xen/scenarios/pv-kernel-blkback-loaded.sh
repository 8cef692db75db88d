# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The kernel's own backend is loaded, and binds to the disk as well. What comes of it is in the story; the
# one promise for now is that the host is clean when the guest is gone.
guest=pv
disks='xvda=64M'
tolerate='.'

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda count=500
}

in_dom0() {
    modprobe xen-blkback
    guest_start || true
    (console_await 'verify-io: right' 40) || true
    xenstore-ls -f /local/domain/0/backend/vbd
    xenstore-ls -f "/local/domain/$(guest_id)/device/vbd"
    ls /sys/bus/xen-backend/drivers/vbd
    dmesg | tail -n 20
    cat "$(console)" /var/log/blkback/blkbackd.log
    guest_destroy
    await 60 nothing_left || fail "it leaves: $(leftovers new)"
    rmmod xen-blkback
}
