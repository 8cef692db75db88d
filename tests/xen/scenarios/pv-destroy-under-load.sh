# shellcheck shell=sh disable=SC2034 # variables are for the harness
# Guests are destroyed while 32 requests are in flight. Each time the domain, its worker and its nodes
# are gone soon, and the image serves the next guest.
guest=pv
disks='xvda=128M'
rounds=3

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda block=16384 depth=32 seconds=600 flush=100
}

in_dom0() {
    for round in $(seq $rounds); do
        guest_start "round$round"
        console_await 'verify-io: running' 120 "round$round"
        guest_destroy "round$round"
        await 60 nothing_left || fail "round $round leaves: $(leftovers new)"
    done
    # Cut off as it was, each worker gave back all that it had mapped.
    [ "$(grep -c 'served reads' /var/log/blkback/blkbackd.log)" = $rounds ] || fail "a worker did not log its totals"
    expect_total grants_mapped -eq "$(worker_total grants_unmapped)"
}
