# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A worker is killed while its guest writes. blkbackd starts another, which cannot take the ring over: the
# guest's I/O stalls. The guest can be destroyed, nothing is left over, and every block whose flush was
# answered is on the disk, which then serves the next guest.
guest=pv
disks='xvda=256M'
tolerate='worker [0-9]* was killed by signal 9|the worker before this one died under a connected guest'

in_guest() {
    await_disk xvda
    case $self in
    first) verify-io append /dev/xvda block=4096 depth=16 flush=32 ;;
    second) verify-io random /dev/xvda count=500 ;;
    esac
}

in_dom0() {
    guest_start first
    console_await 'verify-io: durable=640' 120 first
    kill -KILL "$(leftovers workers | cut -d ' ' -f 2)"
    durable=$(sed -n 's/^verify-io: durable=\([0-9]*\).*/\1/p' "$(console first)" | tail -n 1)
    await 60 grep -q 'the worker before this one died' /var/log/blkback/blkbackd.log || fail "no other worker is started"
    guest_destroy first
    await 60 nothing_left || fail "the killed worker's disk leaves: $(leftovers new)"
    verify-io check "$(image xvda)" count="$durable"
    guest_run second
}
