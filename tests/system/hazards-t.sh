#!/bin/bash
# An image goes back and forth between QEMU, which has it open through the page cache, and a guest on the worker, by every way that the two can
# reach the same blocks: nothing that one has written is old for the other, nothing is lost, and after a hand-over nothing is in the page cache.
# And what happens without the bridge's calls: where each inode and device has a page cache of its own, what QEMU has read before it reads again.
#
# `make check` has a sample of random hand-overs, and of those without the bridge only such that must go wrong, each time. `make check-hazards` has
# a thousand random ones for each way and prints the table of both, which is in qemu-dm-bridge/DESIGN.md. Knobs:
#
#   HAZARD_HAND_OVERS (40)  random ones with the bridge, for each way
#   HAZARD_WITHOUT (0)      random ones without it
#   HAZARD_SEED (1)         chooses what is done; each batch has one of its own, the same with the bridge and without
#   HAZARD_WAYS             those to be tested, as the functions below are called; all of them
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by name
. "$(dirname "$0")/../lib/guest.sh"

nr_with=${HAZARD_HAND_OVERS:-40}
nr_without=${HAZARD_WITHOUT:-0}
seed=${HAZARD_SEED:-1}
ways=${HAZARD_WAYS:-same_file same_device loop_over_file second_loop partition_and_disk stacked}
batch=50

# ---- the ways: each sets served and qemu, what the guest's disk is and what QEMU opens, and nodes, from above to below --------

loop_devices=()
device='' lower='' upper=''

# loop NAME OF [OPTION...]: a device, now in the variable NAME
loop() {
    local new

    new=$(losetup --find --show "${@:3}" "$2") || return 1
    loop_devices=("$new" "${loop_devices[@]}")
    printf -v "$1" %s "$new"
}

loops_away() {
    local each status=0

    for each in "${loop_devices[@]}"; do
        losetup -d "$each" || status=1
    done
    loop_devices=()
    return "$status"
}

undo() {
    loops_away 2>/dev/null
}

# either A B: the guest has one and QEMU the other, in turns
either() {
    if [ $((turn % 2)) = 0 ]; then
        served=$1 qemu=$2
    else
        served=$2 qemu=$1
    fi
}

# Half of the devices go past the page cache of the file below.
direct_io() {
    if [ $((turn / 2 % 2)) = 0 ]; then echo off; else echo on; fi
}

same_file() {
    served=$file qemu=$file nodes=$file
}

same_device() {
    loop device "$file" --direct-io="$(direct_io)" || return 1
    served=$device qemu=$device nodes=$device,$file
}

loop_over_file() {
    loop device "$file" --direct-io="$(direct_io)" || return 1
    either "$file" "$device"
    nodes=$device,$file
}

second_loop() {
    loop served "$file" --direct-io="$(direct_io)" && loop qemu "$file" --direct-io="$(direct_io)" || return 1
    nodes=$served,$qemu,$file
}

partition_and_disk() {
    local entry='\0\0\0\0\203\0\0\0\0\010\0\0\0\020\0\0' # from 1 MiB on, 2 MiB

    # shellcheck disable=SC2059 # bytes
    printf "$entry" | dd of="$file" bs=1 seek=446 conv=notrunc status=none &&
        printf '\125\252' | dd of="$file" bs=1 seek=510 conv=notrunc status=none &&
        loop device "$file" --partscan --direct-io="$(direct_io)" || return 1
    # A kernel may know no tables. With one the partition outlives it if somebody has it read anew.
    [ -b "${device}p1" ] || addpart "$device" 1 2048 4096 || return 1
    either "${device}p1" "$device"
    nodes=${device}p1,$device,$file
}

# As LVM stacks devices. This needs no device mapper.
stacked() {
    loop lower "$file" --direct-io="$(direct_io)" && loop upper "$lower" --direct-io="$(direct_io)" || return 1
    if [ $((turn / 4 % 2)) = 0 ]; then either "$file" "$upper"; else either "$lower" "$upper"; fi
    nodes=$upper,$lower,$file
}

# In all but a partition the stretch lies where that begins.
place_of() {
    case $1 in
        *[0-9]p1) echo 0 ;;
        *) echo 1048576 ;;
    esac
}

# ---- the two workers -----------------------------------------------------------------------------

# The other one has the same name, for the hotplug script, too.
mkdir "$work/unbridged" && ln -s "$BLKBACK_BUILD/bin/unbridged-vbd" "$work/unbridged/blkback-vbd" || exit 1
path=$PATH

choose_worker() {
    PATH=$path
    [ "$1" = with ] || PATH=$work/unbridged:$path
}

# ---- batches -------------------------------------------------------------------------------------

# some_hand_overs WAY PLAN N: on a new image; adds to the figures
some_hand_overs() {
    local said status number

    # The same whatever other ways are tested.
    number=$(echo "$seed $1 $turn" | cksum | cut -d ' ' -f 1)
    file=$images/disk.$turn
    truncate -s 4M "$file" && "$1" || return 1
    serve "$served" >&2 || return 1
    said=$(as_guest hand-over-hazard plan="$2" hand-overs="$3" seed="$number" scratch="$work/scratch" qemu="$qemu" nodes="$nodes" \
        served-at="$(place_of "$served")" qemu-at="$(place_of "$qemu")" file-at=1048576)
    status=$?
    say "$1, $2, seed $number: the guest has $served, QEMU $qemu: $said"
    detach xvda >&2 && ended "$worker" && loops_away && [ "$status" = 0 ] && rm "$log" "$file" && add_up "$said"
}

add_up() {
    local word name

    for word in $1; do
        name=${word%%=*}
        if [ "$name" = pages ]; then
            [ "${word#*=}" -le "${sums[pages]}" ] || sums[pages]=${word#*=}
        else
            sums[$name]=$((sums[$name] + ${word#*=}))
        fi
    done
}

declare -A sums

# hand_overs with|without WAY PLAN N: in batches, so that every side and kind of device has its turn
hand_overs() {
    local n each

    # For every side, and, when they are many, for every kind of device
    if [ "$3" = plain ]; then each=$(($4 / 2)); else each=$(($4 > batch * 4 ? batch : $4 / 4)); fi
    sums=([hand-overs]=0 [reads]=0 [stale]=0 [lost]=0 [pages]=0)
    choose_worker "$1"
    turn=0
    for ((n = $4; n > 0; n -= each)); do
        some_hand_overs "$2" "$3" "$each" || return 1
        turn=$((turn + 1))
    done
    printf '# %-20s %-8s %-7s %10s %9s %7s %6s %6s\n' "$2" "$1" "$3" "${sums[hand-overs]}" "${sums[reads]}" "${sums[stale]}" "${sums[lost]}" "${sums[pages]}"
}

# What udev reads of a device nobody can foresee.
nothing_left() {
    [ "${sums[pages]}" = 0 ] || { [ "$1" != same_file ] && [ -e /run/udev/control ]; }
}

bridged() {
    hand_overs with "$@"
    ok $? "$1: $3 hand-overs with the bridge, $2"
    is "${sums[hand-overs]} ${sums[stale]} ${sums[lost]}" "$3 0 0" "... all of them, and nothing was stale, nothing lost"
    nothing_left "$1"
    ok $? "... and nothing was left in the page cache"
}

# One page cache for both: there may be nothing to see.
is_shared() {
    [ "$1" = same_file ] || [ "$1" = same_device ]
}

# Where the guest writes the file and QEMU has a device over it the old pages are that device's; the other way round the
# guest's writes go through the file. So of two sides one may be well.
unbridged() {
    hand_overs without "$@"
    ok $? "$1: $3 hand-overs without it, $2"
    # A few random ones may all be lucky.
    if is_shared "$1" || { [ "$2" = random ] && [ "$3" -lt 500 ]; }; then return; fi
    [ "${sums[stale]}" -gt 0 ]
    ok $? "... and something was stale"
}

if [ "$(id -u)" != 0 ] || ! loop device "$(new_image probe 1M)" 2>/dev/null; then
    say "no loop devices to be had: only the same file"
    ways=same_file
fi
loops_away

echo "# seed $seed"
printf '# %-20s %-8s %-7s %10s %9s %7s %6s %6s\n' way bridge plan hand-overs reads stale lost pages
for way in $ways; do
    bridged "$way" random "$nr_with"
    bridged "$way" plain 4
    unbridged "$way" plain 4
    [ "$nr_without" = 0 ] || unbridged "$way" random "$nr_without"
done
choose_worker with
[ "$ways" != same_file ] || skip "all other ways" "no loop device to be had"
assert_clean
done_testing
