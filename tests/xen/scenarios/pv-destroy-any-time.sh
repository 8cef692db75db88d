# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# Ten guests are destroyed: as soon as they exist, when their disk has just been connected, or under load.
# Each time the domain, its worker and its nodes are gone soon.
guest=pv
disks='xvda=128M'
seconds=600

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda block=65536 depth=16 seconds=600 flush=20
}

in_dom0() {
    for round in $(seq 10); do
        guest_start "round$round"
        case $((round % 3)) in
        1) ;;
        2) await 120 connected "round$round" || fail "round $round: the disk is never connected" ;;
        0) console_await 'verify-io: running' 120 "round$round" ;;
        esac
        guest_destroy "round$round"
        await 60 nothing_left || fail "round $round leaves: $(leftovers new)"
    done
    expect_total grants_mapped -eq "$(worker_total grants_unmapped)"
}

# $1: the guest
connected() {
    [ "$(xenstore-read "/local/domain/0/backend/vbd/$(guest_id "$1")/51712/state")" = 4 ]
}
