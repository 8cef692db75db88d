# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A guest is saved and restored while it reads and writes: no request is lost or comes twice, and what it
# reads afterwards is what it wrote before.
guest=pv
disks='xvda=128M'

in_guest() {
    await_disk xvda
    busy_until_told xvda
    verify-io random /dev/xvda block=4096 depth=32 count=500 seed=2
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    xl save "$name" "$(image saved)"
    await 60 nothing_left || fail "saving leaves: $(leftovers new)"
    [ "$(grep -c 'served reads' /var/log/blkback/blkbackd.log)" = 1 ] || fail "the first worker did not log its totals"
    xl restore "$(image saved)"
    guest_tell enough
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
