#!/bin/sh
# A simulated guest uses a disk image through the backend; then the image is checked from outside.
#
#   make demo        or        sh tools/bootstrap.sh demo
#
# Needs about 300 MB below the build tree (or /var/tmp), a minute, and FUSE; no network, no Xen. As root,
# the guest's file system is the kernel's ext4, mounted; otherwise mke2fs and debugfs stand in for it.
# Everything it made is gone afterwards. If it fails, it says what failed and keeps the logs; exit code 1.
set -eu
cd "$(dirname "$0")/.."

# A host that somebody else has started, as `in-host sh` does, is none of ours to stop.
unset XENSIM_DIR
source=$PWD
build=${BLKBACK_BUILD:-$source/build/default}
PATH=$build/bin:$PATH:/usr/sbin:/sbin
export PATH

domid=1
vdev=xvda
disk_mib=256
fs_mib=192         # the file system's part of the disk; the rest is for raw requests
barriers=16        # at the start of that rest
barrier_kib=64     # each
fio_offset_mib=200
fio_seconds=5
ready_seconds=30
end_seconds=10

doing='starting'
detail=
work=
run=
logs=
attached=

# ---- telling ----------------------------------------------------------------------------------

say() {
    printf '%s\n' "$*"
}

fact() {
    printf '  %-26s %s\n' "$1" "$2"
}

# One step: what it is, and what it found out in `detail`.
step() {
    doing=$1
    detail=
    shift
    printf '  %s ... ' "$doing"
    printf '== %s\n' "$doing" >>"$logs/steps.log"
    "$@" </dev/null >>"$logs/steps.log" 2>&1
    printf '%s\n' "${detail:-done}"
}

fail() {
    echo "demo.sh: $*" >>"$logs/steps.log"
    exit 1
}

explain_failure() {
    say
    say "The demo FAILED while $doing. What the programs said last:"
    tail -n 12 "$logs/steps.log" | sed 's/^/    /'
    say "All logs (steps, worker, nbdkit, the simulated host) are in $logs"
}

# ---- the end, however it comes -----------------------------------------------------------------

guest_end() {
    ! mountpoint -q "$run/mnt" || umount "$run/mnt" || umount -l "$run/mnt"
    ! mountpoint -q "$run/nbd" || fusermount3 -u "$run/nbd" || fusermount3 -uz "$run/nbd"
    for started in "$run"/*.started; do
        if [ -e "$started" ]; then daemon_end "$started"; fi
    done
    wait
}

# Whether it ever was ready or not.
daemon_end() {
    read -r daemon <"$1" || return 0
    kill "$daemon" 2>/dev/null || true
    timeout "$end_seconds" tail --pid="$daemon" -f /dev/null || kill -KILL "$daemon" || true
    rm "$1"
}

host_end() {
    if [ -n "$attached" ]; then
        setsid -w xensim vbd-detach --force $domid $vdev
    fi
    cp "$XENSIM_DIR"/log/* "$logs" || true
    xensim host-stop
}

finish() {
    status=$?
    trap - EXIT
    trap '' INT TERM HUP PIPE
    set +e
    [ -z "$run" ] || guest_end >>"$logs/steps.log" 2>&1
    [ -z "${XENSIM_DIR-}" ] || host_end >>"$logs/steps.log" 2>&1
    case $status in
    0) rm -rf "$logs" ;;
    129 | 130 | 141 | 143)
        rm -rf "$logs"
        say && say "Interrupted; everything is cleaned up."
        ;;
    *)
        [ -z "$logs" ] || explain_failure
        status=1
        ;;
    esac
    rm -rf "$work" "$run"
    exit "$status"
}

# ---- the disk and the host ---------------------------------------------------------------------

# Where direct I/O works: beside the build, else in /var/tmp. Written past the page cache, every block,
# so that no figure is owed to a hole and no page of the image is cached by its making.
make_image() {
    for place in "$build" /var/tmp; do
        work=$(mktemp -d "$place/demo.XXXXXX") || continue
        image=$work/disk.img
        if dd if=/dev/zero of="$image" bs=1M count=$disk_mib oflag=direct conv=fsync &&
            blkback-vbd --check "$image"; then
            detail="$image ($(stat -f -c %T "$work" | sed 's,ext2/ext3,ext2/3/4,'))"
            return 0
        fi
        rm -rf "$work"
    done
    fail "no place for an image: direct I/O is needed in $build or /var/tmp"
}

collect_files() {
    mkdir "$work/stage" "$work/stage/files"
    tar -C "$source" --exclude=./build --exclude=./.git -cf - . | tar -C "$work/stage/files" -xf -
    cp -R "$build/bin" "$build/lib" "$work/stage/files"
    detail="$(find "$work/stage/files" -type f | wc -l) files," \
        detail="$detail $(du -sh "$work/stage/files" | cut -f1)"
}

start_host() {
    settings=$(xensim host-start "$run/host")
    eval "$settings"
    xensim domain-create $domid
    detail="xenstored of pid $(cat "$XENSIM_DIR/xenstored/pid"), guest is domain $domid"
}

# Not to be interrupted half way: what the script starts must be known to `finish`.
attach() {
    attached=yes
    setsid -w xensim vbd-attach --script="$source/tools/block-blkback" $domid $vdev "$image"
    detail="backend/vbd/$domid/51712, state $(xenstore-read $backend/state)"
}

# ---- the guest ---------------------------------------------------------------------------------

# A daemon that writes its process id into a pipe when it is ready; if it ends before, we write 0.
# $1: name, of the pipe $run/NAME.pid too; the rest: the command. Its process id is in $run/NAME.started at
# once, for the end that comes too early.
start_daemon() {
    name=$1
    shift
    mkfifo "$run/$name.pid"
    (
        setsid "$@" &
        echo $! >"$run/$name.started"
        wait $! || true
        echo 0 | dd of="$run/$name.pid" oflag=nonblock conv=notrunc status=none 2>/dev/null
    ) >"$logs/$name.log" 2>&1 &
    pid=$(timeout "$ready_seconds" head -n 1 "$run/$name.pid") || fail "$name is not ready after $ready_seconds seconds"
    [ "$pid" != 0 ] || fail "$name does not start: $(tail -n 1 "$logs/$name.log")"
}

connect() {
    start_daemon nbdkit env LD_PRELOAD="$XENSIM_PRELOAD" XENSIM_DOMID=$domid \
        XENSTORED_PATH="$XENSIM_DIR/dom$domid/xenstored" \
        nbdkit -f -U "$run/sock" -P "$run/nbdkit.pid" --threads 64 \
        "$build/lib/nbdkit-blkfront-plugin.so" vdev=$vdev
    size=$(nbdinfo --size "$uri")
    detail="a disk of $((size >> 20)) MiB, state $(xenstore-read $backend/state)"
}

show_as_file() {
    mkdir "$run/nbd" "$run/mnt"
    if ! [ -r /dev/fuse ] || ! [ -w /dev/fuse ]; then
        fail "/dev/fuse cannot be opened: load the module fuse, or allow it to this user or container"
    fi
    start_daemon nbdfuse nbdfuse -P "$run/nbdfuse.pid" "$run/nbd/$vdev" "$uri"
    guest_disk=$run/nbd/$vdev
}

# Sets kernel to yes if the kernel can mount what the guest formatted.
format() {
    mkfs.ext4 -q -F "$guest_disk" ${fs_mib}m
    kernel=
    if [ "$(id -u)" != 0 ]; then
        detail="done; without root it is not mounted: mke2fs and debugfs do the guest's work"
    elif ! mount -o loop "$guest_disk" "$run/mnt"; then
        detail="done; it cannot be mounted here (no loop devices?): mke2fs and debugfs do the guest's work"
    else
        kernel=yes
        detail="done, and mounted"
    fi
}

copy_files() {
    if [ -n "$kernel" ]; then
        cp -a "$work/stage/files" "$run/mnt"
        umount "$run/mnt"
    else
        mkfs.ext4 -q -F -d "$work/stage" "$guest_disk" ${fs_mib}m
    fi
    detail=$files
}

# Everything comes through the ring once more: mounting and opening anew start without cached pages.
read_back() {
    if [ -n "$kernel" ]; then
        mount -o loop,ro "$guest_disk" "$run/mnt"
        diff -r "$work/stage/files" "$run/mnt/files" || fail "the files the guest reads back differ"
        umount "$run/mnt"
    else
        compare_files "$guest_disk"
    fi
    detail="no difference"
}

# $1: where the file system is; read by debugfs, without mounting anything
compare_files() {
    mkdir "$work/out"
    debugfs -R "rdump /files $work/out" "$1"
    diff -r "$work/stage/files" "$work/out/files" || fail "the files in '$1' differ"
    rm -rf "$work/out"
}

write_barriers() {
    set -- qemu-io -f raw -t writethrough
    i=0
    while [ $i -lt $barriers ]; do
        set -- "$@" -c "write -f -P $((i + 1)) $((fs_mib * 1024 + i * barrier_kib))k ${barrier_kib}k"
        i=$((i + 1))
    done
    "$@" "$uri"
    detail="$barriers of $barrier_kib KiB"
}

raw_io() {
    fio --name=demo --ioengine=nbd --uri="$uri" --offset=${fio_offset_mib}m \
        --size=$((disk_mib - fio_offset_mib))m --rw=randwrite --bs=4k --iodepth=32 \
        --verify=crc32c --verify_fatal=1 --verify_backlog=2048 --verify_state_save=0 \
        --time_based --runtime=$fio_seconds --randseed=$$ \
        --output-format=terse --terse-version=3 --output="$logs/fio.terse" ||
        fail "fio found wrong data, or a request failed: $(cat "$logs/fio.terse")"
    detail="$(fio_figure 6) KiB read back right"
}

# Sets cached. While the disk is attached, and right after I/O.
count_cached() {
    cached=$(pagecache -v "$image")
    detail=$cached
    [ "${cached%% *}" = 0 ] || fail "the page cache holds pages of the image: $cached"
}

disconnect() {
    guest_end
    setsid -w xensim vbd-detach $domid $vdev
    attached=
    xensim counters --check
    detail="nothing is left mapped, open or in xenstore"
}

# ---- the image, without the backend ------------------------------------------------------------

check_image() {
    e2fsck -fn "$image" || fail "e2fsck finds the file system damaged"
    detail="clean"
}

check_files() {
    compare_files "$image"
    detail="no difference"
}

check_barriers() {
    set -- qemu-io -r -f raw
    i=0
    while [ $i -lt $barriers ]; do
        set -- "$@" -c "read -P $((i + 1)) $((fs_mib * 1024 + i * barrier_kib))k ${barrier_kib}k"
        i=$((i + 1))
    done
    "$@" "$image" || fail "what was written with barriers is not in the image"
    detail="all there"
}

# ---- the account -------------------------------------------------------------------------------

# A number the worker logged when the guest disconnected, by its name.
total() {
    sed -n "s/.* $1=\([0-9]*\).*/\1/p" "$logs/worker.log" | tail -n 1
}

# A field of fio's terse output, by its number (version 3; HOWTO of fio).
fio_figure() {
    cut -d ';' -f "$1" "$logs/fio.terse"
}

# $1: the field of the KiB moved. Writes and reads took turns, so both are counted over the whole time.
fio_iops() {
    echo "$(($(fio_figure "$1") * 1000 / 4 / $(fio_figure 50)))"
}

# $1: fields of the completion latency percentiles; prints the three that matter
fio_latency() {
    fio_figure "$1" | tr ';' '\n' | sed 's/%=/ /' | awk '
        $1 == 50 { p50 = $2 } $1 == 99 { p99 = $2 } $1 == 99.9 { p999 = $2 }
        END { printf "p50 %d us, p99 %d us, p99.9 %d us", p50, p99, p999 }'
}

node() {
    xenstore-read "$1" 2>/dev/null || echo none
}

# Written down while both sides are connected; their nodes go away with them.
collect_features() {
    barrier=$(node $backend/feature-barrier)
    flush=$(node $backend/feature-flush-cache)
    persistent=$(node $backend/feature-persistent)/$(node $frontend/feature-persistent)
    protocol=$(node $frontend/protocol)
    sectors=$(node $backend/sectors)
    sizes="$(node $backend/sector-size)/$(node $backend/physical-sector-size)"
    [ -n "$sectors" ] && detail="written down"
}

account() {
    fact 'layout of the ring' "$protocol, 1 page, 32 slots"
    fact 'disk' "$sectors sectors; logical/physical sector $sizes bytes"
    fact 'offered' "feature-flush-cache $flush, feature-barrier $barrier"
    fact 'persistent grants' "backend/frontend $persistent"
    fact 'requests' "$(total reads) reads, $(total writes) writes, $(total flushes) flushes, $(total barriers) barriers"
    fact '' "$(total refused) refused, $(total failed) failed; $(total fdatasyncs) fdatasyncs"
    fact 'data' "$(($(total read_sectors) / 2048)) MiB read, $(($(total write_sectors) / 2048)) MiB written"
    fact 'segments' "$(total segments_persistent) in persistent grants, $(total segments_copied) by grant copy"
    fact 'grants' "$(total grants_mapped) mapped, $(total grants_unmapped) unmapped again"
    fact 'events' "$(total events) received, $(total notifications) sent"
    fact 'writes of 4k, 32 in flight' "$(fio_iops 47) IOPS; $(fio_latency 59-78)"
    fact 'reads to verify them' "$(fio_iops 6) IOPS; $(fio_latency 18-37)"
    fact '' "(through NBD and one ring; make bench-quick has the ring alone)"
    fact 'pages in the page cache' "$cached"
}

# What the account must say.
check_account() {
    [ -n "$(total reads)" ] || fail "the worker logged no totals"
    [ "$(total refused)" = 0 ] || fail "the worker refused $(total refused) requests"
    [ "$(total failed)" = 0 ] || fail "$(total failed) requests failed"
    [ "$(total flushes)" -gt 0 ] || fail "no flush reached the worker"
    [ "$(total barriers)" -ge "$barriers" ] || fail "only $(total barriers) barriers reached the worker"
    [ "$(total grants_mapped)" = "$(total grants_unmapped)" ] || fail "grants were left mapped"
    detail="they add up"
}

# ---- the story ---------------------------------------------------------------------------------

case ${1-} in
'') ;;
*)
    sed -n '2,8s/^# \{0,1\}//p' "$0"
    [ "$1" = --help ] || exit 2
    exit 0
    ;;
esac
[ -x "$build/bin/blkback-vbd" ] || { say "demo.sh: there is no '$build/bin/blkback-vbd'; run make first" >&2 && exit 1; }

trap finish EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM

mkdir -p "$build/log"
logs=$(mktemp -d "$build/log/demo.XXXXXX")
: >"$logs/steps.log"
# Sockets need a short path; see xensim host-start.
run=$(mktemp -d "${TMPDIR:-/tmp}/blkback-demo.XXXXXX")
uri="nbd+unix:///?socket=$run/sock"
backend=/local/domain/0/backend/vbd/$domid/51712
frontend=/local/domain/$domid/device/vbd/51712
export BLKBACK_RUNDIR="$run/blkback" BLKBACK_LOG="$logs/worker.log"

say "blkbackd demo: a simulated Xen guest uses a disk image."
say
say "The host"
step "creating a disk image of $disk_mib MiB" make_image
step "collecting files: this source tree and its programs" collect_files
files=$detail
step "starting a simulated Xen host, with the real xenstored" start_host
step "attaching the image with the hotplug script block-blkback" attach
say
say "The guest, through the ring"
step "connecting the frontend" connect
step "showing the disk as a file (nbdfuse)" show_as_file
step "formatting $fs_mib MiB of it (mkfs.ext4)" format
step "copying the files" copy_files
step "reading them back and comparing" read_back
step "writing with barriers (qemu-io)" write_barriers
step "random writes for $fio_seconds seconds, each read back (fio)" raw_io
step "counting pages of the image in the host's page cache" count_cached
step "noting what the two sides agreed on" collect_features
step "disconnecting and detaching" disconnect
say
say "The image, without the backend"
step "e2fsck -fn" check_image
step "comparing the files (debugfs)" check_files
step "looking for the barriers' data (qemu-io)" check_barriers
step "checking the worker's totals" check_account
say
say "The account"
account
say
say "Everything is as it should be."
