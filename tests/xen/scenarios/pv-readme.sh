# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# What the README says about a Xen host, word for word: blkbackd from a boot script, the disk's line in xl's
# configuration, the one with options, and the look at the workers.
guest=pv

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda count=300
}

# $1: what the lines of the README that are meant begin with
readme() {
    grep "^$1" /harness/README.md
}

in_dom0() {
    # Only the directory is not taken literally: it leads to where direct I/O works.
    mkdir -p /path "/images/$name"
    ln -s "/images/$name" /path/to
    truncate -s 64M /path/to/disk.img

    supervisor stop TERM
    start=$(readme systemctl)
    BLKBACK_LOG=/var/log/blkback/blkbackd.log ${start##*: }
    disk_config=$(readme 'disk = \[')
    guest_run
    disk_config="${disk_config%,target=*},$(readme target=)' ]"
    guest_start
    # shellcheck disable=SC2016 # the README's quotes
    look=$(sed -n 's/.*`\(xenstore-ls -f backend | grep worker-status\)`.*/\1/p' /harness/README.md)
    [ "$(sh -c "$look" | grep -c 'worker-status = "running')" = 1 ] || fail "worker-status is not told: $(sh -c "$look")"
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    grep -q 'connected: .* persistent=0 flush=1 barrier=0' /var/log/blkback/blkbackd.log || fail "features-off does nothing"

    kill "$(cat /run/blkback/blkbackd.pid)"
    await_not 60 test -e /run/blkback/blkbackd.pid
    supervisor start
    rm -r /path
}
