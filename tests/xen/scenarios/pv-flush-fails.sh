# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# Storage fails when what a guest wrote is to be made durable. The guest's fsync says so, and nothing that it
# writes afterwards is ever said to be safe, also when the storage has recovered: nobody knows what was lost.
# A disk attached anew works.
#
# blkfront sends no more flushes once one has failed, whatever the code, so that an fsync of nothing new
# succeeds without anybody being asked. What tells the guest is that its writes fail.
guest=pv
disks='xvda=/dev/dm-0'
tolerate='I/O error|Input/output error|may be lost'

in_guest() {
    await_disk xvda
    dd if=/dev/zero of=/dev/xvda bs=4k count=16 oflag=direct
    flush || fail "a flush fails although the storage works"
    dd if=/dev/zero of=/dev/xvda bs=4k count=16 oflag=direct
    echo WRITTEN
    read -r _
    expect_io_error flush
    echo FAILED
    read -r _
    for _ in 1 2 3; do
        expect_io_error dd if=/dev/zero of=/dev/xvda bs=4k count=1 conv=fsync
    done
    expect_io_error dd if=/dev/zero of=/dev/xvda bs=4k count=1 oflag=direct
    dd if=/dev/xvda of=/dev/null bs=4k count=16 iflag=direct
    echo REMEMBERED
    await_not 120 test -b /dev/xvda || fail "the disk stays"
    await_disk xvda
    verify-io random /dev/xvda count=300
}

# Without any data.
flush() {
    dd if=/dev/null of=/dev/xvda conv=fsync
}

# The rest: a command
expect_io_error() {
    if "$@" >/tmp/said 2>&1; then fail "'$*' succeeds"; fi
    cat /tmp/said
    grep -qiE '(i/o|input/output) error' /tmp/said || fail "'$*' fails for another reason"
}

in_dom0() {
    modprobe dm-flakey
    # There is no udev.
    export DM_DISABLE_UDEV=1
    sectors=$(blockdev --getsz /dev/vdb)
    dmsetup create weak --table "$(table_works)"
    guest_start
    console_await WRITTEN
    weak_becomes "$(table_fails)"
    guest_tell "it fails"
    console_await FAILED
    weak_becomes "$(table_works)"
    guest_tell "it works"
    console_await REMEMBERED
    xl block-detach "$name" xvda || true
    await_workers_end
    xl block-attach "$name" "$(disk_line "$disks")"
    guest_finish
    await_workers_end
    dmsetup remove weak
}

table_works() {
    echo "0 $sectors linear /dev/vdb 0"
}

# After 0 seconds of working it fails writes, a flush too, for a day.
table_fails() {
    echo "0 $sectors flakey /dev/vdb 0 0 86400 1 error_writes"
}

# $1: a table of dmsetup
weak_becomes() {
    dmsetup suspend --nolockfs weak
    dmsetup load weak --table "$1"
    dmsetup resume weak
}
