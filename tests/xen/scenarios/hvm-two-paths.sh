# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# What hvm-two-paths-kernel shows cannot happen here: an HVM guest has its emulated disk or its PV disk, never both. It boots
# with the emulated one, writes without a flush, reads, and takes it away late, while its PV driver waits already. The PV disk then has
# all that was written, and dom0's page cache nothing of the image. It reboots, and its emulated disk has what the PV
# disk wrote; it takes over again. In the end its firmware starts a boot sector that the PV disk wrote.
#
# Beside that dom0 has a loop device over the image, with a page cache of its own, in which there is something that was
# written and not synced, and all that was there before.
guest=hvm
disks='xvda=64M'
parameters='xen_emul_unplug=unnecessary'
frontend_loads=later
on_reboot=restart
seconds=2400

# ---- the guest ---------------------------------------------------------------------------------------

# What is written with verify-io, beside the single blocks.
by_ide='offset=16777216 size=8388608 count=500'
by_pv='offset=25165824 size=8388608 count=500'

in_guest() {
    await_disk sda
    echo "EMULATED."
    read -r boot
    "${boot}_boot"
}

first_boot() {
    [ -z "$(text_of sda 3)" ] || fail "the disk is not empty"
    put sda 1 one
    put sda 2 two fsync
    put sda 4 A
    # shellcheck disable=SC2086 # words
    verify-io append /dev/sda $by_ide flush=0
    change_over five
    echo "ROW T1 IDE write, no flush -> PV read: $(found xvda 1 one)."
    echo "ROW T2 IDE write + flush -> PV read: $(found xvda 2 two)."
    echo "ROW T5 IDE write, unplug, PV read: $(found xvda 5 five)."
    echo "ROW L1 write by a loop device, no sync -> PV read: $(found xvda 7 seven)."
    # shellcheck disable=SC2086
    verify-io check /dev/xvda $by_ide
    put xvda 3 three fsync
    put xvda 4 B fsync
    # shellcheck disable=SC2086
    verify-io append /dev/xvda $by_pv flush=100
    echo "PV WROTE, $boot boot."
    read -r _
    reboot -f
    # It takes a moment.
    read -r _
}

second_boot() {
    echo "ROW T3 IDE read, PV write, reboot, IDE read: $(found sda 3 three)."
    echo "ROW T4 IDE write A, unplug, PV write B, reboot, IDE read: $(found sda 4 B)."
    # shellcheck disable=SC2086
    verify-io check /dev/sda $by_ide
    # shellcheck disable=SC2086
    verify-io check /dev/sda $by_pv
    change_over five-again
    echo "ROW T6 IDE write, unplug, PV read after the reboot: $(found xvda 5 five-again)."
    boot_sector 'PV WROTE THIS.' >/tmp/sector
    dd if=/tmp/sector of=/dev/xvda bs=512 count=1 conv=fsync 2>/dev/null
    echo "PV WROTE, $boot boot."
    read -r _
}

# The PV driver asks for its disk, and waits; dom0 says when it has seen that. Then the emulated disk goes, right after a
# last write. $1: its text
change_over() {
    echo "IDE WROTE, $boot boot."
    read -r _
    load_frontend &
    read -r _
    [ ! -b /dev/xvda ] || fail "both paths are there at once"
    put sda 5 "$1"
    unplug_emulated
    await_disk xvda
}

# A boot sector that sends a text to the first serial port, and halts. $1: the text
boot_sector() {
    {
        printf '\374\061\300\216\330\276\042\174' # cld; xor ax, ax; mov ds, ax; mov si, 0x7c22: the text
        printf '\254\204\300\164\022'             # next: lodsb; test al, al; jz halt
        printf '\210\304\272\375\003'             # mov ah, al; mov dx, 0x3fd: the line's state
        printf '\354\250\040\164\373'             # wait: in al, dx; test al, 0x20; jz wait
        printf '\210\340\272\370\003\356\353\351' # mov al, ah; mov dx, 0x3f8; out dx, al; jmp next
        printf '\364\353\375'                     # halt: hlt; jmp halt
        printf '%s\r\n' "$1"
    } >/tmp/code
    dd if=/tmp/code bs=510 conv=sync 2>/dev/null
    printf '\125\252'
}

# ---- dom0 ----------------------------------------------------------------------------------------------

# $1: how often
emulated() {
    [ "$(grep -c '^EMULATED' "$(console)")" = "$1" ]
}

is_waiting() {
    grep -q "waits for the image: the image is in use by process $(xenstore-read "/local/domain/$(guest_id)/image/device-model-pid"), the guest.s device model" \
        /var/log/blkback/*.log
}

backend_state() {
    xenstore-read "/local/domain/0/backend/vbd/$(guest_id)/51712/state"
}

# The guest has written by the emulated disk, and QEMU has it. $1: which boot
expect_emulated() {
    console_await "IDE WROTE, $1 boot"
    [ -n "$(qemu_has_open xvda)" ] || fail "QEMU has not the image"
    expect_cached 1 "$(image xvda)"
}

# The worker gives QEMU 30 seconds, so nothing else is to be looked at before the guest unplugs.
change_over_from() {
    guest_tell "ask for the PV disk"
    await 60 is_waiting || fail "the PV disk does not wait for QEMU"
    [ "$(backend_state)" = 2 ] || fail "the PV disk is in state $(backend_state) while QEMU has the image"
    guest_tell "unplug"
    console_await "PV WROTE, $1 boot"
    note "$(grep -h 'waits for the image' /var/log/blkback/*.log)"
    [ -z "$(qemu_has_open xvda)" ] || fail "QEMU has the image open after the unplug"
    expect_cached 0 "$(image xvda)" "$loop"
}

# $1: whether there is something in the page cache, 0 or 1; the rest: of which files
expect_cached() {
    expected=$1
    shift
    for file; do
        pages=$(cached_pages "$file")
        note "the page cache has $pages pages of $file"
        [ $((pages > 0)) = "$expected" ] || fail "that is not what was to be"
    done
}

# $1: the test, $2: how it is to be
expect_row() {
    grep -q "^ROW $1 .*: $2\." "$(console)" || fail "$1 is not '$2'"
}

# $1: a block's number. From a page cache, as any program reads
loop_text() {
    dd if="$loop" bs=4k skip=$(($1 * 256)) count=1 2>/dev/null | tr -d '\0'
}

# The same from the storage itself.
image_text() {
    dd if="$(image xvda)" bs=4k skip=$(($1 * 256)) count=1 iflag=direct 2>/dev/null | tr -d '\0'
}

# Everything of the image gets into the page cache of the loop device, and one block that only that has.
use_loop() {
    cat "$loop" >/dev/null
    printf seven | dd of="$loop" bs=4k seek=$((7 * 256)) conv=sync,notrunc 2>/dev/null
    expect_cached 1 "$loop"
    [ -z "$(image_text 7)" ] || fail "it is written already, so nothing is shown"
}

first_story() {
    await 1000 emulated 1 || guest_failed "$name" "does not boot"
    guest_tell first
    expect_emulated first
    use_loop
    change_over_from first
    [ "$(loop_text 3)" = three ] || fail "the loop device has '$(loop_text 3)' where the PV disk wrote"
}

second_story() {
    guest_tell "now reboot"
    await 1000 emulated 2 || guest_failed "$name" "does not boot again"
    guest_tell second
    expect_emulated second
    change_over_from second
    guest_tell end
    guest_finish
}

# The firmware of a new guest with nothing but the image. It never sees a PV driver.
firmware_story() {
    boot_from=disk
    guest_start firmware
    await 120 grep -q 'PV WROTE THIS' /var/log/xen/console/serial-firmware.log || fail "the firmware does not start what the PV disk wrote"
    note "the firmware of a new guest started it: $(tr -d '\r' </var/log/xen/console/serial-firmware.log)"
    guest_destroy firmware
}

in_dom0() {
    modprobe loop
    # Open, so that the kernel does not empty its page cache for another reason; it goes when it is closed, however we end.
    loop=$(losetup -f --show "$(image xvda)")
    exec 8<"$loop"
    losetup -d "$loop"
    stop_writeback /dev/vda "$loop"
    guest_start
    first_story
    second_story
    grep '^ROW' "$(console)"
    for test in T1 T2 T3 T4 T5 T6 L1; do
        expect_row "$test" new
    done
    firmware_story
    exec 8<&-
    await_workers_end
    expect_total failed -eq 0
}
