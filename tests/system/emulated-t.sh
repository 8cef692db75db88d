#!/bin/bash
# The guest's PV driver comes while its device model, a real QEMU, has the image: the guest waits for it, is connected as soon as that has let go,
# and what QEMU keeps without a device of the guest's is closed. QEMUs that take no locks, that die, that cannot be asked.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/device-model.sh
. "$(dirname "$0")/../lib/device-model.sh"

have_model || skip_all "there is no QEMU"
image=$(new_image disk 8M)
drive="file=$image,if=none,id=d0,format=raw,cache=writeback"
plugged=(-drive "$drive" -device "ide-hd,drive=d0")

guest_waits() {
    await_line "$log" "waits for the image: the image is in use by process $model, the guest's device model ($1): the guest has to unplug" &&
        [ "$(xenstore-read "$be/state")" = 2 ]
}

guest_works() {
    tell "read 0 8 expect=$1" && hear "read 0 8: status 0 data ok"
}

# what the emulated disk writes, through QEMU's block layer
model_writes() {
    tell_model "qemu-io d0 \"write -P $1 0 4k\""
}

served() {
    rm -f "$log"
    serve "$image${1:-}"
}

gone() {
    guest_close && detach xvda && ended "$worker"
}

# ---- the guest has not unplugged it yet ------------------------------------------------------------

check "a disk" served
check "its device model starts" start_model "${plugged[@]}"
check "... and writes" model_writes 3
guest_open
check "the guest waits, and the log says for whom and why" guest_waits "the guest has not unplugged its emulated disk"
check "... its emulated disk works on" model_writes 4
check "it is unplugged" tell_model "drive_del d0"
check "... then the guest works, and reads what was written there" guest_works 4
is "$(pagecache "$image")" 0 "... nothing is in the page cache"
check "... it leaves" gone
stop_model

# ---- nobody uses it any more -----------------------------------------------------------------------

while IFS='|' read -r what words; do
    check "$what: a disk" served
    # shellcheck disable=SC2086 # words
    check "... its device model has it open, without a device" start_model ${words//IMAGE/$image}
    check "... it has" model_has "$image"
    guest_open
    tell "write 0 8 pattern=5"
    check "... the guest works at once" hear "write 0 8: status 0"
    check "... and reads" guest_works 5
    refuses "... QEMU has closed it" model_has "$image"
    like "$(cat "$log")" "*the device model, process $model, has closed the image for the guest's PV driver*" "... the log says so"
    check "... it leaves" gone
    stop_model
done <<'TABLE'
-drive|-drive file=IMAGE,if=none,id=d0,format=raw
-blockdev|-blockdev driver=raw,node-name=n0,file.driver=file,file.filename=IMAGE
-blockdev in two|-blockdev driver=file,node-name=f0,filename=IMAGE -blockdev driver=raw,node-name=n0,file=f0
TABLE

# ---- the guest never can -----------------------------------------------------------------------------

check "emulated=close: a disk" served ,emulated=close
check "... its device model starts" start_model "${plugged[@]}"
check "... and writes" model_writes 6
guest_open
check "... the guest works at once, and reads what was written there" guest_works 6
refuses "... QEMU has closed it" model_has "$image"
like "$(model_writes 7)" "*rror*" "... and writes no more"
check "... nothing of that comes" guest_works 6
check "... it leaves" gone
stop_model

# ---- a QEMU without locks, as all were before 2.10 ------------------------------------------------------

check "without locks: a disk" served
check "... its device model starts" start_model -drive "$drive,file.locking=off" -device ide-hd,drive=d0
guest_open
check "... the guest waits" guest_waits "the guest has not unplugged its emulated disk"
check "... it is unplugged" tell_model "drive_del d0"
check "... then the guest works" guest_works 6
check "... it leaves" gone
stop_model
check "one that is read by both: a disk" serve "$image" --set=mode=r
check "... its device model starts" start_model -drive "$drive,file.locking=off,readonly=on" -device virtio-blk-pci,drive=d0
guest_open
check "... the guest works beside it" guest_works 6
check "... it leaves" gone
stop_model

# ---- one that dies, one that cannot be asked --------------------------------------------------------------

check "one that is killed: a disk" served
check "... its device model starts" start_model "${plugged[@]}"
guest_open
check "... the guest waits" guest_waits "the guest has not unplugged its emulated disk"
stop_model -KILL
check "... then the guest works" guest_works 6
check "... it leaves" gone
check "one that hangs: a disk" served
check "... its device model starts" start_model "${plugged[@]}"
kill -STOP "$model"
guest_open
check "... the guest waits" guest_waits "the device model's QMP monitor: Connection timed out"
kill -CONT "$model"
check "... it is unplugged" tell_model "drive_del d0"
check "... then the guest works" guest_works 6
check "... it leaves" gone
stop_model
check "one without the wrapper: a disk" served
check "... its device model starts" start_model "${plugged[@]}"
rm "$BLKBACK_RUNDIR/qmp-5"
guest_open
check "... the guest waits" guest_waits "which cannot be asked, because it was not started by blkback-qemu-dm"
check "... it is unplugged" tell_model "drive_del d0"
check "... then the guest works" guest_works 6
check "... it leaves" gone
stop_model

assert_clean
done_testing
