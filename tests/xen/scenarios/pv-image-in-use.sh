# shellcheck shell=sh disable=SC2034 # variables are for the harness
# Two guests are given one image. The second is refused, and xl says why; the first notices nothing.
guest=pv
disks='xvda=64M'

in_guest() {
    await_disk xvda
    busy_until_told xvda
}

in_dom0() {
    guest_start first
    console_await 'verify-io: running' 120 first
    leftovers >/run/first
    guest_refused "'$(image xvda)' is in use by the disk backend/vbd/[0-9]*/51712: two disks that write one image destroy it" second
    [ "$(leftovers)" = "$(cat /run/first)" ] || fail "the second guest leaves: $(leftovers)"
    guest_tell enough first
    guest_finish first
    await_workers_end
    expect_total failed -eq 0
}
