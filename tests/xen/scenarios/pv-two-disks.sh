# shellcheck shell=sh disable=SC2034 # variables are for the harness
# Two disks of one guest, each with a worker of its own, are busy at once and do not disturb one another.
guest=pv
disks='xvda=128M xvdb=64M'

in_guest() {
    await_disk xvda
    await_disk xvdb
    verify-io random /dev/xvdb block=16384 count=600 flush=40 seed=7 &
    other=$!
    verify-io random /dev/xvda block=4096 count=1200 flush=50 seed=8
    wait $other
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    workers_are 2 || fail "there are not two workers: $(leftovers)"
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
