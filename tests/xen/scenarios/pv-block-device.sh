# shellcheck shell=sh disable=SC2034 # variables are for the harness
# Block devices instead of files: a whole disk of dom0, and a loop device.
guest=pv
disks='xvda=/dev/vdb xvdb=/dev/loop0'

in_guest() {
    await_disk xvda
    await_disk xvdb
    verify-io random /dev/xvda block=4096 count=1000 flush=50 seed=1
    verify-io random /dev/xvdb block=65536 count=200 flush=20 seed=2
    verify-io append /dev/xvda count=512 flush=64 seed=3
}

in_dom0() {
    modprobe loop
    truncate -s 64M "$(image loop)"
    losetup --direct-io=on /dev/loop0 "$(image loop)"
    guest_run
    await_workers_end
    # Both are free for others again, and what the guest wrote is there.
    losetup -d /dev/loop0
    verify-io check /dev/vdb count=512 seed=3
    expect_total failed -eq 0
}
