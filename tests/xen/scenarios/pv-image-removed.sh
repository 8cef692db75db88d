# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# An image is removed while its guest reads and writes. The guest goes on, and the disk can be detached as
# ever.
guest=pv
disks='xvda=64M'

in_guest() {
    await_disk xvda
    busy_until_told xvda
    await_not 120 test -b /dev/xvda || fail "the disk stays"
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    rm "$(image xvda)"
    await_progress xvda
    guest_tell enough
    console_await 'verify-io: right'
    xl block-detach "$name" xvda
    await_workers_end
    guest_finish
    expect_total failed -eq 0
}
