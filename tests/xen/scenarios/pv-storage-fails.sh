# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# Storage fails under a disk with a write cache, one that uses dom0's page cache, too, and one that writes through. The
# guest's fsync or write fails, and so does all it writes later, also when the storage works again: until the operator accepts
# the loss, which works no sooner than the storage. Then writes are served, and safe without the flushes that the guest no
# longer sends; if storage fails once more, that is told once more. Attached anew, each disk is as it was configured.
# shellcheck source=tests/xen/scenarios/pv-flush-fails.sh
. "${stories:?}/pv-flush-fails.sh"
disks='xvda=/dev/dm-0,cache=none'
more_disks='xvdb=/dev/dm-1,cache=writeback xvdc=/dev/dm-2,cache=directsync'
tolerate='I/O error|Input/output error|may be lost|was lost|loss of data|lost async page write|barrier or flush: disabled|empty flush|Buffer I/O|all writes and flushes fail|though the operator asks for another'
seconds=900

# Writing and syncing, without the page cache of the guest. $1: the disk, $2: what is written
put() {
    echo "$2" | dd of="/dev/$1" bs=4k conv=sync,fsync oflag=direct
}

# What is there. $1: the disk
get() {
    dd if="/dev/$1" bs=4k count=1 iflag=direct 2>/dev/null | tr -d '\0'
}

# What shows the guest that storage fails: of a disk with a write cache an fsync, of the other a write. $1: the disk
lose() {
    case $1 in
    xvdc) put xvdc lost ;;
    *) dd if=/dev/null of="/dev/$1" conv=fsync ;;
    esac
}

in_guest() {
    for disk in xvda xvdb xvdc; do
        await_disk $disk
        put $disk first
        echo second | dd of=/dev/$disk bs=4k conv=sync oflag=direct
    done
    echo WRITTEN
    read -r _
    for disk in xvda xvdb xvdc; do
        expect_io_error lose $disk
    done
    echo FAILED
    read -r _
    for disk in xvda xvdb xvdc; do
        expect_io_error put $disk later
        expect_io_error put $disk later
        echo "$disk has '$(get $disk)'"
    done
    echo REMEMBERED
    read -r _
    for disk in xvda xvdb xvdc; do
        put $disk again
        [ "$(get $disk)" = again ] || fail "$disk: what is written after the loss was accepted is not there"
        echo "CLEARED $disk $(cat /sys/block/$disk/queue/write_cache)."
        verify-io random /dev/$disk size=8388608 count=300 flush=10
        put $disk last
    done
    echo SERVED
    read -r _
    expect_io_error put xvda lost
    echo "LOST AGAIN"
    read -r _
    expect_io_error put xvda later
    echo "REMEMBERED AGAIN"
    for disk in xvda xvdb xvdc; do
        await_not 120 test -b /dev/$disk || fail "$disk stays"
        await_disk $disk
        [ "$(get $disk)" = last ] || fail "$disk: attached anew it lacks what was written"
        echo "ANEW $disk $(cat /sys/block/$disk/queue/write_cache)."
        verify-io random /dev/$disk size=8388608 count=300 flush=10
        echo "USED $disk."
    done
}

# The three disks of dom0, on a third of the device each. $1: which, $2: linear or flakey
table() {
    case $2 in
    linear) echo "0 $third linear /dev/vdb $(($1 * third))" ;;
    # After 0 seconds of working it fails writes, a flush too, for a day.
    flakey) echo "0 $third flakey /dev/vdb $(($1 * third)) 0 86400 1 error_writes" ;;
    esac
}

# $1: linear or flakey
all_become() {
    for which in 0 1 2; do
        dmsetup suspend --nolockfs weak$which
        dmsetup load weak$which --table "$(table $which "$1")"
        dmsetup resume weak$which
    done
}

# What blkbackctl refuses. $1: its words, the rest: a command
expect_refused() {
    why=$1
    shift
    if "$@" >/run/refused 2>&1; then fail "'$*' is not refused"; fi
    cat /run/refused
    grep -q "$why" /run/refused || fail "'$*' is refused for another reason"
}

# $1: the disk, $2: the mode after it, $3: why it can have no write cache before it is attached anew
clear() {
    look "$1" "$id"
    [ "$(backend_node data-lost)" = 1 ] || fail "$1: the store does not say that data was lost"
    case $shown in *'"fault":null'*) fail "$1: the worker says nothing of its fault" ;; esac
    note "$1: hotplug-error: $(backend_node hotplug-error)"
    expect_refused 'accept-loss' blkbackctl clear-fault "$id/$1"
    expect_refused 'data was lost' blkbackctl set-cache "$id/$1" writethrough
    blkbackctl clear-fault "$id/$1" --accept-loss
    look "$1" "$id"
    [ -z "$(backend_node data-lost)" ] || fail "$1: the store still says that data was lost"
    [ -z "$(backend_node hotplug-error)" ] || fail "$1: the store still has an error"
    case $shown in *'"fault":null'*) ;; *) fail "$1: the worker still says that there is a fault" ;; esac
    expect_store "$1" "$2" 0
    expect_refused "$3" blkbackctl set-cache "$id/$1" none
    expect_refused 'no data was lost' blkbackctl clear-fault "$id/$1" --accept-loss
}

# $1: the disk, $2: the mode, $3: whether there is a write cache. Sets $configured.
expect_store() {
    look "$1" "$id"
    configured=$(backend_node cache-mode)
    note "$1: cache $(shown cache), cache-mode-active $(backend_node cache-mode-active), write-cache $(backend_node write-cache), cache-mode $configured"
    [ "$(shown cache)" = "$2" ] || fail "$1: the worker says $(shown cache), not $2"
    [ "$(backend_node cache-mode-active)" = "$2" ] || fail "$1: the store says $(backend_node cache-mode-active), not $2"
    [ "$(backend_node write-cache)" = "$3" ] || fail "$1: the store says write-cache=$(backend_node write-cache)"
}

in_dom0() {
    modprobe dm-flakey
    # There is no udev.
    export DM_DISABLE_UDEV=1
    third=$(($(blockdev --getsz /dev/vdb) / 3 / 8 * 8))
    for which in 0 1 2; do
        dmsetup create weak$which --table "$(table $which linear)"
    done
    guest_start
    # shellcheck disable=SC2086 # a list of words
    disks_attach $more_disks
    id=$(guest_id)
    console_await WRITTEN
    all_become flakey
    guest_tell "it fails"
    console_await FAILED
    for disk in xvda xvdb xvdc; do
        expect_refused 'fdatasync failed' blkbackctl clear-fault "$id/$disk" --accept-loss
    done
    all_become linear
    guest_tell "it works"
    console_await REMEMBERED
    clear xvda directsync 'a flush failed'
    clear xvdb writethrough 'a flush failed'
    clear xvdc directsync 'neither flush nor barrier'
    guest_tell "go on"
    console_await SERVED
    grep -a '^CLEARED' "$(console)"
    all_become flakey
    guest_tell "it fails again"
    console_await 'LOST AGAIN'
    all_become linear
    guest_tell "it works again"
    console_await 'REMEMBERED AGAIN'
    look xvda "$id"
    [ "$(backend_node data-lost)" = 1 ] || fail "the store does not say that data was lost again"
    note "xvda: hotplug-error: $(backend_node hotplug-error)"
    for disk in $disks $more_disks; do
        # Of the one that is faulty our hotplug script says so once more.
        xl block-detach "$name" "${disk%%=*}" || [ "${disk%%=*}" = xvda ]
        xl block-attach "$name" "$(disk_line "$disk")"
        note "$disk is attached anew"
        console_await "^USED ${disk%%=*}\."
        case $disk in
        *none) expect_store xvda none 1 ;;
        *writeback) expect_store xvdb writeback 1 ;;
        *directsync) expect_store xvdc directsync 0 ;;
        esac
        [ "$(shown failed)" = 0 ] || fail "$disk: something failed after it was attached anew"
    done
    grep -a '^ANEW' "$(console)"
    guest_finish
    await_workers_end
    for which in 0 1 2; do
        dmsetup remove weak$which
    done
}
