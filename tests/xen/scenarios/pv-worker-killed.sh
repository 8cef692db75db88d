# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A worker is killed while its guest writes. The guest's I/O stalls, the guest can be destroyed, nothing is
# left over, and every block whose flush was answered is on the disk, which then serves the next guest.
guest=pv
disks='xvda=256M'
seconds=180

in_guest() {
    await_disk xvda
    case $self in
    first) verify-io append /dev/xvda block=4096 depth=16 flush=32 ;;
    second) verify-io random /dev/xvda count=500 ;;
    esac
}

in_dom0() {
    guest_start first
    console_await 'verify-io: durable=640' 60 first
    kill -KILL "$(leftovers workers | cut -d ' ' -f 2)"
    durable=$(sed -n 's/^verify-io: durable=\([0-9]*\).*/\1/p' "$(console first)" | tail -n 1)
    guest_destroy first
    await 15 nothing_left || fail "the killed worker's disk leaves: $(leftovers new)"
    verify-io check "$(image xvda)" count="$durable"
    guest_run second
}
