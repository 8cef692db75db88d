# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A guest migrates to the host it is on while it reads and writes. The new domain's disk is set up while
# the old one still has its own: two workers of one image.
guest=pvh
disks='xvda=128M'

in_guest() {
    await_disk xvda
    busy_until_told xvda
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    # Without ssh: an empty -s makes xl run the other side as it is.
    xl migrate -s '' "$name" 'xl migrate-receive'
    # Its console goes on in another file, named after what the domain was called when it came.
    mv "$(console)" "$(console "$name--outgoing")"
    ln -s "$(console "$name--incoming")" "$(console)"
    guest_tell enough
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
