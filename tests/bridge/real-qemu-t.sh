#!/bin/bash
# The QEMUs of this machine start with what blkback-drive-args prints, in every cache mode and style, and say
# themselves that the disk is in that mode: direct I/O, flushes, and the guest's write cache (B32). What is
# rewritten they take, too.
set -u
cd "$(dirname "$0")/../.." || exit 2

program=${BLKBACK_BUILD:-build/default}/bin/blkback-drive-args
nr=0
dir=$(mktemp -d "${BLKBACK_BUILD:-build/default}/real-qemu.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

qemus=()
for qemu in /usr/libexec/xen-qemu-system-i386 /usr/lib/xen/bin/qemu-system-i386 qemu-system-x86_64 qemu-system-i386; do
    ! command -v "$qemu" >/dev/null || qemus+=("$qemu")
done
if [ "${#qemus[@]}" = 0 ]; then
    echo "1..0 # SKIP there is no QEMU"
    exit 0
fi
image="$dir/a, b=c,,d.img"
truncate -s 1M "$image"
if ! dd if="$image" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null; then
    echo "1..0 # SKIP the build tree lies on a file system without direct I/O"
    exit 0
fi

# is NAME WANTED GOT
is() {
    nr=$((nr + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
    else
        echo "not ok $nr - $1"
        printf '# wanted %s\n# got    %s\n' "$2" "$3"
        sed 's/^/# /' "$dir/qemu.log"
    fi
}

# What QEMU says of its one disk: direct, no-flush, writeback, read-only. A machine that needs neither Xen nor
# KVM; which of the two accelerators a QEMU has depends on how it was built.
cache_of() {
    local qemu=$1 accel
    shift
    for accel in qtest tcg; do
        printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"query-block"}' '{"execute":"quit"}' |
            timeout 60 "$qemu" -machine "pc,accel=$accel" -nodefaults -vga none -display none -S -qmp stdio \
                "$@" 2>"$dir/qemu.log" >"$dir/qmp"
        ! grep -q '"return": \[' "$dir/qmp" || break
    done
    for key in direct no-flush writeback; do
        grep -o "\"$key\": [a-z]*" "$dir/qmp" | head -n 1 | sed 's/.*: //'
    done | paste -s -d ' '
}

# In the order of cache_of.
want() {
    case $1 in
        none) echo "true false true" ;;
        directsync) echo "true false false" ;;
        writethrough) echo "false false false" ;;
        writeback) echo "false false true" ;;
        unsafe) echo "false true true" ;;
    esac
}

for qemu in "${qemus[@]}"; do
    for mode in none directsync writethrough writeback unsafe; do
        for options in "--drive --lock" "--blockdev --lock --discard"; do
            # shellcheck disable=SC2086 # options
            mapfile -d '' -t words < <("$program" --null $options "$image" "$mode" "$qemu")
            is "$qemu: $mode: $options" "$(want "$mode")" "$(cache_of "$qemu" "${words[@]}")"
        done
        value=file=${image//,/,,},if=ide,index=0,media=disk,format=raw,cache=writeback
        words=(-drive "$("$program" --rewrite "$value" "$mode" "$qemu")")
        is "$qemu: $mode: as libxl writes it, rewritten" "$(want "$mode")" "$(cache_of "$qemu" "${words[@]}")"
        # Some are built without native AIO, which with the page cache they do not get to see.
        aio=,aio=native
        [ "${mode%sync}" = "$mode" ] && [ "$mode" != none ] || aio=
        value=file=${image//,/,,},format=raw$aio,cache.direct=on,cache.no-flush=off
        words=(-drive "$("$program" --rewrite "$value" "$mode" "$qemu")")
        is "$qemu: $mode: split options, rewritten" "$(want "$mode")" "$(cache_of "$qemu" "${words[@]}")"
    done
    # As libxl writes a CD drive that is empty.
    value=if=ide,index=1,readonly=on,media=cdrom,id=ide-832
    words=(-drive "$("$program" --rewrite "$value" none "$qemu")")
    cache_of "$qemu" "${words[@]}" >"$dir/nothing"
    is "$qemu: an empty CD drive, rewritten" ide-832 "$(grep -o ide-832 "$dir/qmp" | head -n 1)"
    mapfile -d '' -t words < <("$program" -z -b -i virtio -r "$image" directsync "$qemu")
    is "$qemu: virtio, read-only" "$(want directsync)" "$(cache_of "$qemu" "${words[@]}")"
    mapfile -d '' -t words < <("$program" -z -d -i scsi "$image" writethrough "$qemu")
    is "$qemu: scsi" "$(want writethrough)" "$(cache_of "$qemu" -device virtio-scsi-pci "${words[@]}")"
done
echo "1..$nr"
