# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The disks of an HVM guest in other modes than QEMU has had them in: libxl has it open all of them with cache=writeback. After the unplug
# each is open as its own mode wants it, is right, and only the one that uses dom0's page cache has something there.
guest=hvm
disks='xvda=64M,cache=directsync xvdb=64M,cache=writeback'
seconds=1800

in_guest() {
    for disk in xvda xvdb; do
        await_disk $disk
        echo "SEES $disk $(cat /sys/block/$disk/queue/write_cache)."
        verify-io random /dev/$disk block=4096 depth=16 count=500 flush=20 reads=40
        file_system /dev/$disk
    done
    [ ! -b /dev/sda ] || fail "the emulated disk is still there"
    echo "WRITTEN."
    read -r _
}

# $1: the disk, $2: its mode, $3: O_DIRECT and O_DSYNC, $4: what the guest sees, $5: whether the page cache has some of it
expect_mode() {
    grep -q "^SEES $1 $4\." "$(console)" || fail "$1: the guest does not see '$4'"
    look "$1" "$(guest_id)"
    [ "$(shown cache)" = "$2" ] || fail "$1: the worker says $(shown cache)"
    [ "$(open_flags)" = "$3" ] || fail "$1: O_DIRECT and O_DSYNC are $(open_flags)"
    note "$1: $2, $(shown writes) writes, $(shown flushes) flushes, $(shown syncs) fdatasyncs; the page cache has $(cached_pages "$(image "$1")") pages"
    [ $(($(cached_pages "$(image "$1")") > 0)) = "$5" ] || fail "$1: that is not what its mode wants"
}

in_dom0() {
    guest_start
    console_await 'WRITTEN\.' 1600
    expect_mode xvda directsync '1 1' 'write through' 0
    [ "$(shown flushes)" = 0 ] || fail "flushes come without a write cache"
    expect_mode xvdb writeback '0 0' 'write back' 1
    [ "$(shown syncs)" -gt 0 ] || fail "nothing is made durable"
    guest_tell end
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    e2fsck -fn "$(image xvda)"
    e2fsck -fn "$(image xvdb)"
}
