#!/bin/bash
# Real file systems in the guest survive a power cut of the host: the kernel's ext4 and xfs, mounted through the guest's ring, with what was
# fsynced there. The storage is voldisk; for each of several dozen moments of a load an image is made of what the media may hold,
# mounted (which replays the journal), compared with what was acknowledged, and checked by fsck. In the mode unsafe nothing is
# promised, and the same finds losses.
#
# Ways: nbdkit-blkfront-plugin - nbdfuse - loop device - mount. An fsync comes to the ring as a flush.
# Blocks of 4096 bytes are there as a whole or not at all: file systems take that for granted of a disk (ext4's superblock has a
# checksum over two sectors).
#
# CRASH_SEED=N      repeats a run, as far as time allows
# CRASH_CUTS=N      power cuts in each row (default 10)
# CRASH_STEPS=N     of each of three kinds of files in each row (default 60)
# CRASH_FS='ext4 xfs'  CRASH_MODES='none directsync writeback'
# CRASH_KEEP=FOLDER where to put journal, data and promises of a loss: see crash-image and crash-fs
# shellcheck source=tests/crash/crash.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/crash.sh"
# shellcheck source=tests/lib/nbd-file.sh
. "$(dirname "$0")/../lib/nbd-file.sh"

cuts=${CRASH_CUTS:-10}
steps=${CRASH_STEPS:-60}
disk_bytes=$((40 << 20))
guest_disk=$images/guest/disk
mounted=$images/mounted
cut_image=$images/cut
guest_loop=

undo() {
    ! mountpoint -q "$mounted" || umount -l "$mounted"
    [ -z "$guest_loop" ] || losetup -d "$guest_loop" 2>/dev/null
    forget_nbd
    umount -l "$disk_mount" 2>/dev/null
}

# ---- file systems ----------------------------------------------------------------------------

# Said of mkfs: discards would be allowed to bring back old data.
make_fs() {
    case $1 in
        ext4) mkfs.ext4 -q -F -b 4096 -E nodiscard "$2" ;;
        xfs) mkfs.xfs -q -f -K --unsupported "$2" 2>/dev/null ;; # below 300 MB it says so
    esac
}

check_fs() {
    case $1 in
        ext4) e2fsck -f -n "$2" ;;
        xfs) xfs_repair -n -f "$2" ;;
    esac
}

# ---- the guest -------------------------------------------------------------------------------

guest_mounts() {
    guest_loop=$(losetup --find --show --direct-io=on "$guest_disk") && make_fs "$1" "$guest_loop" && mount "$guest_loop" "$mounted"
}

loop_is_gone() {
    [ -z "$(losetup -j "$guest_disk")" ]
}

guest_unmounts() {
    umount "$mounted" && losetup -d "$guest_loop" && eventually loop_is_gone && guest_loop=
}

guest_works() {
    crash-fs load "$mounted" "$work/promises" "$clock" "$seed" "$steps"
}

# served NAME: the last figure of that name in the worker's log
served() {
    grep -o " $1=[0-9]*" "$log" | tail -n 1 | cut -d= -f2
}

# ---- power cuts ------------------------------------------------------------------------------

# below N: bash's own numbers have 15 bits. In the shell that has the seed, or it would be another one.
below() {
    n=$(((RANDOM * 32768 + RANDOM) % $1))
}

# Half of them right after something was acknowledged, half anywhere: TICK KEEP lines
choose_cuts() {
    local i n acknowledged first last

    mapfile -t acknowledged < <(awk '$2 == "done" { print $1 }' "$work/promises" | sort -n)
    first=${acknowledged[0]} last=${acknowledged[-1]}
    for ((i = 0; i < cuts; i++)); do
        if ((i % 4 < 2)); then
            below "${#acknowledged[@]}"
            tick=${acknowledged[n]}
        else
            below $((last - first))
            tick=$((first + n))
        fi
        ((i % 2)) && echo "$tick random" || echo "$tick none"
    done
}

# cut_power FS TICK KEEP
cut_power() {
    local status=0

    crash-image "$work/journal" "$work/data" "$disk_bytes" "$2" "$cut_image" --keep="$3" --seed="$seed" --atom=4096 &&
        mount -o loop "$cut_image" "$mounted" || return 1
    crash-fs check "$mounted" "$work/promises" "$2" || status=1
    umount "$mounted" && check_fs "$1" "$cut_image" >"$work/fsck" 2>&1 && return "$status"
    cat "$work/fsck"
    return 1
}

# all_cuts FS
all_cuts() {
    local tick keep nr_bad=0

    choose_cuts >"$work/cuts"
    while read -r tick keep; do
        cut_power "$1" "$tick" "$keep" && continue
        nr_bad=$((nr_bad + 1))
        say "the power cut at tick $tick with --keep=$keep --seed=$seed lost something"
    done <"$work/cuts"
    [ "$nr_bad" = 0 ] && return 0
    [ -z "${CRASH_KEEP:-}" ] || { mkdir -p "$CRASH_KEEP" && cp "$work"/{journal,data,promises} "$CRASH_KEEP"; }
    return 1
}

# load FS MODE [OPTION...]: from an empty disk to its journal
load() {
    check "$1, $2: there is a disk" start_disk --data="$work/data" "${@:3}"
    check "... it is served" crash_serve ",cache=$2,features-off=discard"
    check "... a guest connects" start_nbd guest exec_guest nbdkit "$plugin" vdev=xvda
    check "... and mounts it" guest_mounts "$1"
    [ "$nr_failed" = 0 ] || return
    check "... and works (CRASH_SEED=$seed)" guest_works
    check "... and unmounts it" guest_unmounts
    check "... and leaves" stop_nbd guest
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    check "... the storage ends" stop_disk
    is "$(served failed)" 0 "... nothing has failed"
}

# row FS MODE [OPTION...]
row() {
    # After a failure all may be mounted still.
    [ "$nr_failed" = 0 ] || return
    load "$@"
    [ "$nr_failed" = 0 ] || return
    if [ "$2" = directsync ]; then
        is "$(grep -c -w volatile "$work/journal")" 0 "... each write was durable"
    else
        [ "$(served flushes)" -ge "$steps" ]
        ok $? "... each fsync was a flush"
    fi
    check "... $cuts power cuts lose nothing (CRASH_SEED=$seed)" all_cuts "$1"
    rm "$log"
    seed=$((seed + 1))
}

reason=$(loop_is_missing)
[ -z "$reason" ] || skip_all "$reason"
mkdir "$mounted"
for fs in ${CRASH_FS:-ext4 xfs}; do
    if ! command -v "mkfs.$fs" >/dev/null; then
        skip "$fs" "there is no mkfs.$fs"
        continue
    fi
    for mode in ${CRASH_MODES:-none directsync writeback}; do
        case $mode in
            writeback) row "$fs" "$mode" --page-cache=1 ;;
            *) row "$fs" "$mode" ;;
        esac
    done
done
if [ "$nr_failed" = 0 ]; then
    load ext4 unsafe
    tick=$(awk '$2 == "done" { print $1 }' "$work/promises" | sort -n | tail -n 1)
    check "... with all that was on its way nothing is lost" cut_power ext4 "$tick" all
    refuses "... without it a loss is found, which this mode allows" cut_power ext4 "$tick" none
fi
assert_clean
done_testing
