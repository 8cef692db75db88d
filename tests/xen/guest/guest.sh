# shellcheck shell=sh
# What a scenario's in_guest is written with. Sourced by the guest's init.

# The kernel's own way for parameters of modules, blkfront.NAME=VALUE, does not reach busybox's modprobe.
blkfront_parameters() {
    tr ' ' '\n' </proc/cmdline | sed -n 's/^blkfront\.//p'
}

# The driver waits until it is connected to all of its disks, or has waited five minutes.
load_frontend() {
    # shellcheck disable=SC2046 # a list of parameters
    modprobe xen-blkfront $(blkfront_parameters)
}

# $1: a disk. It has its full size as soon as it is there.
await_disk() {
    await 120 test -b "/dev/$1" || fail "there is no /dev/$1"
}

# What blkfront agreed on with the backend. $1: the disk, $2: a pattern
expect_blkfront() {
    dmesg | grep -q "blkfront: $1: .*$2" || fail "blkfront does not say '$2' about $1: $(dmesg | grep blkfront:)"
}

# Read and write until dom0 types a line, then read all that was written once more. $1: the disk
busy_until_told() {
    verify-io random "/dev/$1" size=16777216 block=4096 depth=32 seconds=600 flush=50 &
    load=$!
    read -r _
    kill $load
    wait $load
}

fail() {
    echo "$*"
    exit 1
}

# Linux does not notice. Offline, it asks nothing of them any more, which would take it a minute when it goes down.
unplug_emulated() {
    emul-unplug 1
    for disk in /sys/block/sd*; do
        echo offline >"$disk/device/state"
    done
}

# Write a text into a block of 4 KiB, past the guest's own page cache. $1: the disk, $2: the block's number, in MiB, so that no
# read-ahead gets from one to the next; $3: the text, $4: fsync, to have it flushed as well
put() {
    printf %s "$3" | dd of="/dev/$1" bs=4k seek=$(($2 * 256)) conv="sync${4:+,$4}" oflag=direct 2>/dev/null
}

# The text of a block, past the guest's own page cache. $1: the disk, $2: the block's number
text_of() {
    dd if="/dev/$1" bs=4k skip=$(($2 * 256)) count=1 iflag=direct 2>/dev/null | tr -d '\0'
}

# Have what was written flushed. $1: the disk
flush() {
    dd if=/dev/null of="/dev/$1" conv=notrunc,fsync 2>/dev/null
}

# What a reader finds of the last write to an empty block: new, stale, or something else. $1: the disk, $2: the block's number, $3: the text
found() {
    text=$(text_of "$1" "$2")
    case $text in
    "$3") echo new ;;
    '') echo stale ;;
    *) echo "'$text'" ;;
    esac
}

# Make a file system, fill it, and see that it and its files are whole. $1: the disk
file_system() {
    mkfs.ext4 -q -F "$1"
    mount -t ext4 "$1" /mnt
    cp -R /usr /mnt/files
    (cd /mnt/files && find . -type f -exec sha1sum {} +) >/tmp/before
    umount /mnt
    # Mounted anew everything is read from the disk.
    mount -t ext4 "$1" /mnt
    (cd /mnt/files && sha1sum -c -s /tmp/before) || fail "files differ"
    rm -rf /mnt/files/lib
    sync
    umount /mnt
    e2fsck -fn "$1" >/tmp/e2fsck 2>&1 || { cat /tmp/e2fsck && fail "the file system is damaged"; }
}
