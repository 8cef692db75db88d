# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A guest of two processors, with a process on each that reads and writes its half of the disk; and dom0
# has two processors as well.
guest=pv
vcpus=2
disks='xvda=128M'
machine='dom0-vcpus=2'

in_guest() {
    await_disk xvda
    [ "$(grep -c '^processor' /proc/cpuinfo)" = 2 ] || fail "there are not two processors"
    taskset 1 verify-io random /dev/xvda size=67108864 count=1200 flush=50 seed=1 &
    other=$!
    taskset 2 verify-io random /dev/xvda offset=67108864 count=1200 flush=50 seed=2
    wait $other
    file_system /dev/xvda
}

in_dom0() {
    [ "$(grep -c '^processor' /proc/cpuinfo)" = 2 ] || fail "dom0 has not two processors"
    guest_run
    await_workers_end
    expect_total failed -eq 0
}
