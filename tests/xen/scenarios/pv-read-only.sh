# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A disk attached read-only: what is on it can be read, nothing written, and the image stays as it was.
guest=pv
disks='xvda=16M,ro'

in_guest() {
    await_disk xvda
    [ "$(cat /sys/block/xvda/ro)" = 1 ] || fail "the guest takes the disk for writable"
    verify-io check /dev/xvda count=2000 depth=16
    # The guest's own refusal; that of the worker needs a frontend which tries, see tests/system/read-only-t.sh.
    if blockdev --setrw /dev/xvda && dd if=/dev/zero of=/dev/xvda bs=4k count=1 conv=fsync; then
        fail "a write to a read-only disk succeeds"
    fi
    verify-io check /dev/xvda count=16 depth=8
}

in_dom0() {
    verify-io append "$(image xvda)" count=2000 flush=2000
    sha1sum "$(image xvda)" >"$(image sum)"
    guest_run
    await_workers_end
    expect_total writes -eq 0
    sha1sum -c "$(image sum)"
}
