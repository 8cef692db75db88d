# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A guest is created while blkbackd does not run. Nothing of ours runs then: libxl waits for somebody to serve
# the disk, 10 seconds, and does not come to the hotplug script, which could say more. It names the disk, and
# leaves nothing. With blkbackd the guest can be created.
guest=pv
disks='xvda=64M'

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda count=300
}

in_dom0() {
    supervisor stop TERM
    guest_refused "unable to add device with path /local/domain/0/backend/vbd/[0-9]*/51712"
    await 60 nothing_left || fail "it leaves: $(leftovers new)"
    supervisor start
    guest_run
    await_workers_end
    expect_total failed -eq 0
}
