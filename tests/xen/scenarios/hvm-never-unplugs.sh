# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# An HVM guest that keeps its emulated disk has no other way to the same image: QEMU owns it, so its PV driver is refused, and
# told why. There are never two writers. The emulated disk works all the while, and another program may not write the image either.
guest=hvm
disks='xvda=64M'
parameters='xen_emul_unplug=unnecessary'
seconds=1800
tolerate='the frontend is refused|is in use by process|refused: it is'

in_guest() {
    await_disk sda
    verify-io random /dev/sda block=4096 depth=8 count=300 flush=20 size=8388608
    echo EMULATED
    read -r _
    [ ! -b /dev/xvda ] || fail "the same image is there twice"
    verify-io random /dev/sda block=4096 depth=8 count=300 flush=20 size=8388608
}

refused() {
    xenstore-read "$(find_backend)/hotplug-error" | grep -q "the image is in use by process [0-9]*, the guest's device model"
}

find_backend() {
    echo "/local/domain/0/backend/vbd/$(guest_id)/51712"
}

in_dom0() {
    guest_start
    console_await EMULATED 1600
    await 120 refused || fail "the PV driver is not refused"
    note "$(xenstore-read "$(find_backend)/hotplug-error")"
    guest_tell "go on"
    guest_finish
    await_workers_end
    expect_total writes -eq 0
}
