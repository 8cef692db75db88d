#!/bin/bash
# Verified load, by the random guest, through every combination of what a worker and its guest can choose from:
#
#   worker   storage    file, device, device-4096 (a loop device of such sectors)
#            transfer   persistent, copy, map, transfer-copy: how guest pages are reached
#   guest    protocol   x86_64-abi, x86_32-abi, none (the native one of old: R19)
#            ring-order 0..4
#            queues     1..4
#            segments   11 (direct requests only), 12, 32, 64, 128, 256
#
# In `make check` a few at random, MATRIX_CELLS=N of them (default 12). `make check-matrix` takes all: MATRIX_ROW="STORAGE TRANSFER" is
# one row of it, all guests of one kind of worker.
# shellcheck source=tests/lib/random-guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/random-guest.sh"

# ---- the worker's axes: NAME WHAT CONDITION -------------------------------------------------

# WHAT: sectors of the loop device, and alignment of requests
storages='file - true
device 512 has_device
device-4096 4096 has_device'
# WHAT: options of attach, with commas between. Then what the worker's log has to say, as of case.
transfers='persistent - true segments_mapped=[1-9]*
copy --set=features-off=persistent true segments_mapped=0*
map --set=features-off=persistent,--set=transfer=map knows_transfer segments_mapped=[1-9]*
transfer-copy --set=transfer=copy knows_transfer segments_mapped=0*'

# column N NAME TABLE
column() {
    awk -v n="$1" -v name="$2" '$1 == name { print $n }' <<<"$3"
}

# What the hotplug script does not know, no worker does.
knows_transfer() {
    grep -q 'transfer=' "$script"
}

# A device of sectors of $1 bytes that the worker would serve: `blkback-vbd --check` knows.
has_device() {
    local probe status

    [ "$(id -u)" = 0 ] && probe=$(losetup --find --show --direct-io=on --sector-size "$1" "$image" 2>/dev/null) || return 1
    blkback-vbd --check "$probe" >&2
    status=$?
    losetup -d "$probe"
    eventually detached
    return "$status"
}

# offered STORAGE TRANSFER: if there is such a worker here
offered() {
    "$(column 3 "$1" "$storages")" "$(column 2 "$1" "$storages")" && "$(column 3 "$2" "$transfers")"
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

# serve_row STORAGE TRANSFER: sets storage to the path of it, and of_storage to what a guest has to know
serve_row() {
    local sectors options

    storage=$image
    of_storage=()
    sectors=$(column 2 "$1" "$storages")
    options=$(column 2 "$2" "$transfers")
    if [ "$sectors" != - ]; then
        device=$(losetup --find --show --direct-io=on --sector-size "$sectors" "$image") || return 1
        storage=$device
        of_storage=(--discards=any)
    fi
    [ "$options" != - ] || options=
    # shellcheck disable=SC2086 # options are words
    serve_wide "$storage" ${options//,/ }
}

# end_row STORAGE TRANSFER
end_row() {
    done_with "$1 $2"
    like "$(grep -o -e 'segments_mapped=.*' "$log" | tail -n 1)" "$(column 4 "$2" "$transfers")" "$1 $2: so it was"
    [ -n "$device" ] || return
    check "$1 $2: the device is let go" losetup -d "$device"
    device=
    check "$1 $2: nobody holds it" eventually detached
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

# row CELLS STORAGE TRANSFER
row() {
    local guest

    check "$2 $3: the disk is served" serve_row "$2" "$3"
    while read -r guest; do
        cell "$2 $3" "$guest"
    done < <(guests | at_random "$1")
    end_row "$2" "$3"
}

offered_rows() {
    local storage transfer

    while read -r storage _; do
        while read -r transfer _; do
            ! offered "$storage" "$transfer" || echo "$storage $transfer"
        done <<<"$transfers"
    done <<<"$storages"
}

if [ -n "${MATRIX_ROW:-}" ]; then
    # shellcheck disable=SC2086 # two words
    offered $MATRIX_ROW || skip_all "$MATRIX_ROW: no such worker here"
    # shellcheck disable=SC2086
    row 1000 $MATRIX_ROW
else
    while read -r name; do
        # shellcheck disable=SC2086
        row $((${MATRIX_CELLS:-12} / 3)) $name
    done < <(offered_rows | at_random 3)
fi
assert_clean
done_testing
