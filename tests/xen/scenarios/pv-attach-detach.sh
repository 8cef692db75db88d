# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A second disk comes and goes twenty times while the first is under load, and is used each time.
guest=pv
disks='xvda=128M'
rounds=20
seconds=1500

in_guest() {
    await_disk xvda
    # All that was written is read once more at the end: of 16 MB that is no matter.
    verify-io random /dev/xvda size=16777216 block=8192 depth=1 seconds=600 flush=50 &
    load=$!
    for round in $(seq $rounds); do
        await 120 test -b /dev/xvdb || fail "round $round: no disk"
        dd if=/dev/xvdb of=/tmp/read bs=4k count=16 iflag=direct 2>/dev/null
        printf 'round %s' "$round" | dd of=/dev/xvdb bs=4k conv=sync,fsync 2>/dev/null
        echo "USED $round."
        await_not 120 test -b /dev/xvdb || fail "round $round: the disk stays"
        kill -0 $load || fail "the load on the other disk has ended"
    done
    kill $load
    wait $load
}

in_dom0() {
    truncate -s 32M "$(image xvdb)"
    guest_start
    console_await 'verify-io: running'
    for round in $(seq $rounds); do
        note "attaching, round $round"
        xl block-attach "$name" "$(disk_line xvdb=32M)"
        console_await "USED $round\." 120
        note "detaching"
        xl block-detach "$name" xvdb
        await 60 workers_are 1 || fail "round $round: the worker of the second disk has not ended"
        [ "$(dd if="$(image xvdb)" bs=4k count=1 2>/dev/null | tr -d '\0')" = "round $round" ] ||
            fail "round $round: what the guest wrote and synced is not in the image"
    done
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
