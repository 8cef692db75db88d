# shellcheck shell=sh disable=SC2034 # variables are for the harness
# An HVM guest unplugs the emulated disk, then reads and writes the same image through its PV driver.
guest=hvm
disks='xvda=256M'
seconds=900

in_guest() {
    await_disk xvda
    [ ! -b /dev/sda ] || fail "the emulated disk is still there"
    verify-io random /dev/xvda block=4096 depth=32 count=1000 flush=50
    file_system /dev/xvda
}

in_dom0() {
    guest_run
    await_workers_end
    expect_total failed -eq 0
    expect_total segments_copied -eq 0
    e2fsck -fn "$(image xvda)"
}
