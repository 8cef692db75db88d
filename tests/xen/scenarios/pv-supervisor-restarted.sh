# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# blkbackd is killed and comes back, is stopped and comes back, while a guest reads and writes. The guest
# notices nothing: its worker is the same all the time, and serves it also while there is no blkbackd.
guest=pv
disks='xvda=128M'

in_guest() {
    await_disk xvda
    busy_until_told xvda
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    worker=$(leftovers workers)
    for signal in KILL TERM; do
        note "ending blkbackd with $signal"
        supervisor stop $signal
        await_progress xvda
        supervisor start
        [ "$(leftovers workers)" = "$worker" ] || fail "the worker is another: $(leftovers workers), it was $worker"
        await_progress xvda
    done
    [ "$(grep -c "worker ${worker#* } runs already: adopted" /var/log/blkback/blkbackd.log)" = 2 ] ||
        fail "blkbackd did not adopt the worker twice"
    guest_tell enough
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
