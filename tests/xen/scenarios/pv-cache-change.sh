# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The cache mode of a disk changes, by blkbackctl and by the store, while its guest works on a file system there: one
# program checks each byte that it reads from a file, another one makes files and removes them. Neither notices, and the file
# system is whole at the end.
guest=pv
disks='xvda=96M'
tolerate='cache mode unsafe'
seconds=900
by_operator='writeback none directsync none unsafe none'
by_toolstack='writethrough none'

in_guest() {
    await_disk xvda
    mkfs.ext4 -q -F /dev/xvda
    mount -t ext4 /dev/xvda /mnt
    # With all its blocks, so that writes into it go past the page cache.
    dd if=/dev/zero of=/mnt/data bs=1M count=8 conv=fsync 2>/dev/null
    verify-io random /mnt/data block=4096 depth=8 seconds=600 flush=20 &
    load=$!
    make_files &
    files=$!
    read -r _
    kill -0 $load || fail "the load has ended"
    touch /tmp/enough
    wait $files || fail "making files failed"
    kill $load
    wait $load || fail "the load failed"
    umount /mnt
    mount -t ext4 /dev/xvda /mnt
    (cd /mnt/files && sha1sum -c -s /tmp/sums) || fail "files differ"
    umount /mnt
    e2fsck -fn /dev/xvda
    if dmesg | grep -E 'I/O error|EXT4-fs (error|warning)|JBD2:|blkfront: .*fail'; then fail "the kernel complains"; fi
}

# Rounds of: make files, sync, remove those of the round before.
make_files() {
    mkdir /mnt/files
    round=0
    while [ ! -e /tmp/enough ]; do
        round=$((round + 1))
        cp -R /harness /mnt/new
        (cd /mnt/new && find . -type f -exec sha1sum {} +) >/tmp/sums
        sync
        rm -r /mnt/files
        mv /mnt/new /mnt/files
    done
    echo "made files in $round rounds"
    [ $round -gt 1 ]
}

# $1: the mode
is_active() {
    look xvda "$id"
    [ "$(shown cache)" = "$1" ]
}

# After a change: the store and the kernel say so, and the I/O goes on, flushes too. $1: the mode
expect_mode() {
    case $1 in
    none) wanted='1 0' ;;
    directsync) wanted='1 1' ;;
    writethrough) wanted='0 1' ;;
    *) wanted='0 0' ;;
    esac
    is_active "$1" || fail "$1: the worker says $(shown cache)"
    writes=$(shown writes)
    flushes=$(shown flushes)
    [ "$(open_flags)" = "$wanted" ] || fail "$1: O_DIRECT and O_DSYNC are $(open_flags)"
    [ "$(backend_node cache-mode-active)" = "$1" ] || fail "$1: the store says $(backend_node cache-mode-active)"
    [ -z "$(backend_node cache-mode-error)" ] || fail "$1: the store says $(backend_node cache-mode-error)"
    await 120 goes_on || fail "$1: it does not go on: $shown"
    note "$1: it goes on"
}

goes_on() {
    look xvda "$id"
    [ "$(shown writes)" -gt "$writes" ] && [ "$(shown flushes)" -gt "$flushes" ]
}

in_dom0() {
    guest_start
    console_await 'verify-io: running'
    id=$(guest_id)
    for mode in $by_operator; do
        note "the operator asks for $mode"
        blkbackctl set-cache "$id/xvda" "$mode"
        expect_mode "$mode"
    done
    for mode in $by_toolstack; do
        note "the toolstack asks for $mode"
        xenstore-write "$(shown backend)/cache-mode" "$mode"
        await 60 is_active "$mode" || fail "the toolstack's $mode does not become active: $(backend_node cache-mode-error)"
        expect_mode "$mode"
    done
    guest_tell enough
    guest_finish
    await_workers_end
    e2fsck -fn "$(image xvda)"
    [ "$(cat /var/log/blkback/*.log | grep -c 'cache mode is .* now')" = "$(echo "$by_operator $by_toolstack" | wc -w)" ] ||
        fail "the worker has not logged each change once"
    expect_total failed -eq 0
    expect_total refused -eq 0
}
