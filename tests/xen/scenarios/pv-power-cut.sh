# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# The power fails under dom0 while a guest's file system is at work. The storage is a volatile disk (voldisk); for moments of
# the guest's load an image is made of what its media may hold, mounted, which replays the journal, and compared with
# what the guest's fsyncs had acknowledged by then, as its console has told.
guest=pv
disks='xvda=/run/voldisk/image,cache=none'
disk_options=',features-off=discard'
seconds=900
steps=25
cuts=6

in_guest() {
    await_disk xvda
    # Said of mkfs: discards would be allowed to bring back old data.
    mkfs.ext4 -q -F -b 4096 -E nodiscard /dev/xvda
    mount -t ext4 /dev/xvda /mnt
    crash-fs load /mnt - - 1 "$steps"
    umount /mnt
}

size=$((40 << 20))
files=/images/$name

# Its orders are file descriptor 8, its answers 9: the end of the orders is its end.
start_voldisk() {
    modprobe fuse
    mkdir -p /run/voldisk "$files"
    mkfifo "$files/orders" "$files/answers"
    exec 8<>"$files/orders" 9<>"$files/answers"
    voldisk /run/voldisk "$size" "$files/journal" "$files/clock" --data="$files/data" "--page-cache=${disk_page_cache-0}" \
        <"$files/orders" >"$files/answers" 8>&- 9>&- &
    voldisk=$!
    read -r answer <&9
    [ "$answer" = ready ] || fail "the volatile disk says '$answer'"
}

stop_voldisk() {
    exec 8>&-
    wait "$voldisk"
    exec 9>&-
    rmdir /run/voldisk
}

# What the guest says on its console is heard until its end.
start_witness() {
    crash-fs witness "$files/clock" "$files/promises" <"$(xenstore-read "/local/domain/$(guest_id)/console/tty")" &
    witness=$!
}

# The ticks of what was acknowledged, evenly.
choose_cuts() {
    grep -w 'done' "$files/promises" | cut -d ' ' -f 1 >/run/done
    total=$(wc -l </run/done)
    [ "$total" = $((3 * steps)) ] || fail "$total things were acknowledged, not $((3 * steps))"
    for cut in $(seq "$cuts"); do
        sed -n "$((cut * total / cuts))p" /run/done
    done
}

# Sets $lost if something is. $1: the tick, $2: what is kept of that which need not be there, by the seed $1
cut_power() {
    note "the power fails at tick $1; of what need not be there is kept: $2"
    crash-image "$files/journal" "$files/data" "$size" "$1" "$files/cut" --keep="$2" --seed="$1" --atom=4096
    lost=
    if mount -t ext4 -o loop "$files/cut" /mnt; then
        crash-fs check /mnt "$files/promises" "$1" || lost=1
        umount /mnt
        e2fsck -fn "$files/cut" || lost=1
    else
        lost=1
    fi
}

# $1, $2: see cut_power
lose_nothing() {
    cut_power "$1" "$2"
    [ -z "$lost" ] || fail "the power fails at tick $1, and something is lost"
}

all_cuts() {
    for tick in $(choose_cuts); do
        lose_nothing "$tick" none
        lose_nothing "$tick" random
    done
}

in_dom0() {
    mkdir -p /mnt
    modprobe loop
    start_voldisk
    guest_start
    start_witness
    guest_finish
    wait "$witness"
    await_workers_end
    stop_voldisk
    expect_total failed -eq 0
    note "$(grep -c -w write "$files/journal") writes, $(grep -c -w flush "$files/journal") flushes of the disk"
    all_cuts
}
