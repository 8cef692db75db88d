# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A guest reboots: a new domain with a new worker finds what the old one wrote.
guest=pv
disks='xvda=64M'
on_reboot=restart

in_guest() {
    await_disk xvda
    if verify-io check /dev/xvda count=500 2>/dev/null; then return; fi
    verify-io append /dev/xvda count=500 flush=100
    echo REBOOTING
    reboot -f
    # It takes a moment.
    read -r _
}

in_dom0() {
    guest_start
    console_await REBOOTING
    guest_finish
    await_workers_end
    expect_total failed -eq 0
}
