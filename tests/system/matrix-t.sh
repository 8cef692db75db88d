#!/bin/bash
# Verified load, by the random guest, through every combination of what a worker and its guest can choose from:
#
#   worker   storage    file, device, device-4096 (a loop device of such sectors)
#            engine     aio, io_uring
#            transfer   persistent, copy (both of transfer=auto), map, transfer-copy: how guest pages are reached
#   guest    protocol   x86_64-abi, x86_32-abi, none (the native one of old: R19)
#            ring-order 0..4
#            queues     1..4
#            segments   11 (direct requests only), 12, 32, 64, 128, 256
#
# In `make check` a few at random, of one row for each storage: MATRIX_CELLS=N of them (default 12). `make check-matrix` takes all: MATRIX_ROW="STORAGE ENGINE TRANSFER" is
# one row of it, all guests of one kind of worker.
# shellcheck source=tests/lib/random-guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/random-guest.sh"

# ---- the worker's axes ----------------------------------------------------------------------

# NAME SECTORS: of the loop device, if it is one
storages='file -
device 512
device-4096 4096'
engines='aio
io_uring'
# NAME OPTIONS WENT: behind the image's name; and which way the data went, as ways() says it. What lies in parts of a block, or has
# bad grants, is copied in every row.
transfers='persistent ,transfer=auto persistent+copied
copy ,features-off=persistent,transfer=auto copied
map ,features-off=persistent,transfer=map mapped+copied
transfer-copy ,transfer=copy copied'

# column N NAME TABLE
column() {
    awk -v n="$1" -v name="$2" '$1 == name { print $n }' <<<"$3"
}

names() {
    cut -d' ' -f1 <<<"$1"
}

# loop_device SECTORS
loop_device() {
    losetup --find --show --direct-io=on --sector-size "$1" "$image"
}

# A container has no loop devices of its own.
has_loop_devices() {
    local probe

    [ "$(id -u)" = 0 ] && probe=$(loop_device 512 2>/dev/null) || return 1
    losetup -d "$probe"
    eventually detached
}

# ---- a row ----------------------------------------------------------------------------------

image=$(new_image disk 4M)
device=
undo() {
    [ -z "$device" ] || losetup -d "$device" 2>/dev/null
}

detached() {
    [ -z "$(losetup -j "$image")" ]
}

# serve_row STORAGE ENGINE TRANSFER: sets storage to the path of it, and of_storage to what a guest has to know
serve_row() {
    local sectors

    storage=$image
    of_storage=()
    sectors=$(column 2 "$1" "$storages")
    if [ "$sectors" != - ]; then
        device=$(loop_device "$sectors") && [ "$(blockdev --getss "$device")" = "$sectors" ] || return 1
        storage=$device
        of_storage=(--discards=any)
    fi
    serve_wide "$storage,engine=$2$(column 2 "$3" "$transfers")"
}

# ways: how the data of all connections got to the guests' pages
ways() {
    local name n all=

    for name in persistent mapped copied; do
        n=$(blkbackctl --json show "$domid/xvda" | grep -o "\"segments_$name\":[0-9]*" | head -n 1)
        [ "${n#*:}" = 0 ] || all=$all+$name
    done
    echo "${all#+}"
}

# end_row STORAGE ENGINE TRANSFER
end_row() {
    is "$(ways)" "$(column 3 "$3" "$transfers")" "$*: so the data went"
    done_with "$*"
    [ -n "$device" ] || return
    check "$*: the device is let go" losetup -d "$device"
    device=
    check "$*: nobody holds it" eventually detached
}

# cell ROW GUEST: PROTOCOL RING-ORDER QUEUES SEGMENTS. Every other guest that has no persistent grants takes back each after use.
cell() {
    local protocol ring_order queues segments grants=()

    read -r protocol ring_order queues segments <<<"$2"
    [[ $1 == *persistent || $((queues % 2)) = 0 ]] || grants=(--persistent=0 --grant-per-request=1)
    check "$1: $2" random_guest "$storage" --protocol="$protocol" --ring-order="$ring_order" --queues="$queues" \
        --indirect="$segments" --requests=$((50 * scale)) "${of_storage[@]}" "${grants[@]}"
}

guests() {
    local protocol ring_order queues segments

    for protocol in x86_64-abi x86_32-abi none; do
        for ring_order in 0 1 2 3 4; do
            for queues in 1 2 3 4; do
                for segments in 11 12 32 64 128 256; do
                    echo "$protocol $ring_order $queues $segments"
                done
            done
        done
    done
}

# at_random N: so many lines of standard input
at_random() {
    awk -v seed="$RANDOM" 'BEGIN { srand(seed) } { print rand(), $0 }' | sort | head -n "$1" | cut -d' ' -f2-
}

# row CELLS STORAGE ENGINE TRANSFER
row() {
    local guest

    check "$2 $3 $4: the disk is served" serve_row "${@:2}"
    while read -r guest; do
        cell "$2 $3 $4" "$guest"
    done < <(guests | at_random "$1")
    end_row "${@:2}"
}

if [ -n "${MATRIX_ROW:-}" ]; then
    [ "${MATRIX_ROW%% *}" = file ] || has_loop_devices || skip_all "$MATRIX_ROW: only root can set up a loop device"
    [ "${MATRIX_ROW/io_uring/}" = "$MATRIX_ROW" ] || has-uring || skip_all "$MATRIX_ROW: there is no io_uring here"
    # shellcheck disable=SC2086 # three words
    row 1000 $MATRIX_ROW
else
    has_loop_devices || storages='file -'
    has-uring || engines=aio
    for storage_name in $(names "$storages"); do
        row $((${MATRIX_CELLS:-12} / 3)) "$storage_name" "$(at_random 1 <<<"$engines")" "$(names "$transfers" | at_random 1)"
    done
fi
assert_clean
done_testing
