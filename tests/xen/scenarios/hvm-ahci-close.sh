# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# An AHCI disk, which QEMU 7.2 does not unplug (hvm-ahci): with emulated=close the worker has QEMU close it when the PV driver comes, by the monitor
# that the device model's wrapper has given it.
guest=hvm
disks='xvda=64M,emulated=close'
config='hdtype="ahci"
device_model_version="qemu-xen"
device_model_override="/usr/sbin/blkback-qemu-dm"'
seconds=1800
tolerate='I/O error, dev sda'

in_guest() {
    await_disk xvda
    [ -b /dev/sda ] || fail "the emulated disk has gone by itself"
    ! dd if=/dev/sda of=/dev/null bs=4k count=1 iflag=direct 2>/dev/null || fail "the emulated disk can still be read"
    verify-io random /dev/xvda block=4096 depth=16 count=500 flush=20
    file_system /dev/xvda
    echo "WRITTEN."
    read -r _
}

in_dom0() {
    guest_start
    console_await 'WRITTEN\.' 1600
    [ -z "$(qemu_has_open xvda)" ] || fail "QEMU still has the image open"
    grep -q 'has closed the image for the guest' /var/log/blkback/*.log || fail "the worker has not had it closed"
    grep 'is opened with cache=writeback' /var/log/xen/qemu-dm-*.log || fail "the wrapper has not spoken"
    guest_tell end
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
}
