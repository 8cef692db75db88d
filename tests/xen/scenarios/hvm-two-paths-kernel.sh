# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# What the qemu-dm bridge is for, shown without it: an HVM guest that keeps its emulated disk has it and the PV disk of the
# kernel's backend at once, over the same blocks, and each of them loses what the other one writes. QEMU goes through dom0's page cache,
# with cache=writeback as libxl has it, and the kernel's backend past it.
#
# A block device, which both open; and a file, over which libxl's own script puts a loop device for the kernel's backend,
# so that both go through the file's page cache.
guest=hvm
parameters='xen_emul_unplug=unnecessary'
disk_config="disk = [ 'format=raw,vdev=xvda,access=rw,backendtype=phy,target=/dev/vdb',
                      'format=raw,vdev=xvdb,access=rw,backendtype=phy,target=/images/hvm-two-paths-kernel/xvdb' ]"
seconds=1800
# What Linux says when its backend agrees with a guest, which is no complaint.
tolerate='xen-blkback: backend/vbd/.*: using'

# ---- the guest ---------------------------------------------------------------------------------------

# $1: which disk, $2: which test, $3: what was done, $4: what the reader found
row() {
    echo "ROW $1 $2 $3: $4."
}

# Linux gives its names in any order; our disks differ in size. $1: the PV disk
emulated_twin() {
    for disk in /sys/block/sd*; do
        [ "$(cat "$disk/size")" != "$(cat "/sys/block/$1/size")" ] || echo "${disk##*/}"
    done
}

# $1: a or b
two_paths() {
    pv=xvd$1
    await_disk "$pv"
    emulated=$(emulated_twin "$pv")
    await_disk "$emulated"

    put "$emulated" 1 one
    row "$1" T1 "IDE write, no flush -> PV read" "$(found "$pv" 1 one)"

    put "$emulated" 2 two fsync
    row "$1" T2 "IDE write + flush -> PV read" "$(found "$pv" 2 two)"

    [ -z "$(text_of "$emulated" 3)" ] || fail "the disk is not empty"
    put "$pv" 3 three fsync
    row "$1" T3 "IDE read, PV write, IDE re-read" "$(found "$emulated" 3 three)"

    put "$emulated" 4 A
    put "$pv" 4 B fsync
    flush "$emulated"
    row "$1" T4 "IDE write A, PV write B + fsync, IDE flush -> PV read" "$(text_of "$pv" 4)"

    put "$emulated" 5 five
}

in_guest() {
    await_disk sda
    await_disk sdb
    two_paths a
    two_paths b
    unplug_emulated
    for letter in a b; do
        row "$letter" T5 "IDE write, unplug -> PV read" "$(found "xvd$letter" 5 five)"
    done
}

# ---- dom0 ----------------------------------------------------------------------------------------------

# $1: a or b, the rest: what the tests are to find
expect_rows() {
    disk=$1
    shift
    number=0
    for result; do
        number=$((number + 1))
        grep -q "^ROW $disk T$number .*: $result\." "$(console)" || fail "disk $disk: T$number is not '$result'"
    done
}

in_dom0() {
    modprobe xen-blkback
    modprobe loop
    truncate -s 64M "$(image xvdb)"
    dd if=/dev/zero of=/dev/vdb bs=1M count=8 conv=fsync 2>/dev/null
    stop_writeback /dev/vda /dev/vdb
    guest_start
    guest_finish
    grep '^ROW' "$(console)"
    expect_rows a stale new stale A new
    expect_rows b new new new B new
    rmmod xen-blkback
}
