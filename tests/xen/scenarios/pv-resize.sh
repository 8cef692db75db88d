# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A file and a block device grow twice and shrink once, while their guest reads and writes: its kernel hears of each size,
# new sectors hold what is written there, and nothing of what was there before is lost.
guest=pv
disks='xvda=64M xvdb=/dev/loop0'
steps='96 128 80'
seconds=600

# $1: the disk, $2: its size in MiB
has_size() {
    [ "$(cat "/sys/block/$1/size")" = $(($2 * 2048)) ]
}

in_guest() {
    await_disk xvda
    await_disk xvdb
    # Within what stays all the time.
    verify-io random /dev/xvda size=33554432 block=8192 depth=8 seconds=600 flush=50 seed=1 &
    load=$!
    for mib in $steps; do
        for disk in xvda xvdb; do
            await 120 has_size $disk "$mib" || fail "$disk has $(cat /sys/block/$disk/size) sectors, not $mib MiB"
            printf '%s of %s' $disk "$mib" | dd of=/dev/$disk bs=4k seek=$((mib * 256 - 1)) conv=sync,fsync 2>/dev/null
            verify-io random /dev/$disk offset=$(((mib - 16) * 1048576)) size=8388608 block=4096 count=200 flush=20 seed=2
            echo "USED $disk $mib."
        done
        kill -0 $load || fail "the load has ended"
    done
    kill $load
    wait $load
    for disk in xvda xvdb; do
        [ "$(dmesg | grep -c "$disk: detected capacity change")" = 3 ] || fail "the kernel did not hear of each size of $disk"
    done
}

# What a guest wrote, and synced, to the last page of a disk. $1: the image, $2: the disk, $3: its size in MiB
expect_last_page() {
    [ "$(dd if="$1" bs=4k count=1 skip=$(($3 * 256 - 1)) 2>/dev/null | tr -d '\0')" = "$2 of $3" ] ||
        fail "what the guest wrote to the last page of $2 is not there"
}

in_dom0() {
    modprobe loop
    truncate -s 64M "$(image loop)"
    losetup --direct-io=on /dev/loop0 "$(image loop)"
    guest_start
    console_await 'verify-io: running'
    for mib in $steps; do
        note "both have $mib MiB"
        truncate -s "${mib}M" "$(image xvda)"
        truncate -s "${mib}M" "$(image loop)"
        losetup -c /dev/loop0
        console_await "USED xvda $mib\." 180
        console_await "USED xvdb $mib\." 180
        for disk in xvda xvdb; do
            [ "$(worker_now sectors $disk)" = $((mib * 2048)) ] || fail "the worker of $disk has another size"
        done
        expect_last_page "$(image xvda)" xvda "$mib"
    done
    guest_finish
    await_workers_end
    losetup -d /dev/loop0
    expect_last_page "$(image loop)" xvdb 80
    [ "$(grep -c 'resized: sectors=' /var/log/blkback/*.log | awk -F : '{ sum += $NF } END { print sum }')" = 6 ] ||
        fail "the workers have not logged each size once"
    expect_total failed -eq 0
    expect_total refused -eq 0
}
