#!/bin/bash
# A guest that does not unplug its emulated disks: 30 seconds after its PV driver has come it is refused, or may read beside the emulated disk, by
# policy; there are never two writers. When the emulated disk is gone it connects as usual.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/device-model.sh
. "$(dirname "$0")/../lib/device-model.sh"

# A worker waits for 30 seconds.
deadline=90
have_model || skip_all "there is no QEMU"
read_image=$(new_image read 8M)
refused_image=$(new_image refused 8M)
other=/local/domain/0/backend/vbd/5/51728

model_writes() {
    tell_model "qemu-io $1 \"write -P $2 0 4k\""
}

guest_reads() {
    tell "read 0 8 expect=$1" && hear "read 0 8: status 0 data ok"
}

check "a disk with emulated=read-only" serve "$read_image,emulated=read-only"
check "one without" attach xvdb "$refused_image"
check "their device model starts" start_model \
    -drive "file=$read_image,if=none,id=d0,format=raw" -device ide-hd,drive=d0 \
    -drive "file=$refused_image,if=none,id=d1,format=raw" -device ide-hd,drive=d1
check "... and writes" model_writes d0 3
check "... both" model_writes d1 3

as_guest timeout --foreground 90 blkfront-io --vdev=xvdb --timeout=60 "write 0 8 pattern=9" >"$work/refused" 2>&1 &
refused=$!
guest_open --timeout=60
check "the guest of the first waits" await_line "$log" "waits for the image: the image is in use by process $model, the guest's device model"
check "... then it is connected, and reads what was written" guest_reads 3
is "$(xenstore-read "$be/info")" 4 "... it is told that it cannot write"
like "$(cat "$log")" "*the disk is read-only: the image is in use by process $model, the guest's device model*connected: * access=read-only*" "... the log says so"
tell "write 0 8 pattern=9 status=-1"
check "... what it writes is refused" hear "write 0 8: status -1"
check "its emulated disk writes on" model_writes d0 4
check "... and the guest reads that" guest_reads 4

refuses "the guest of the second is refused" wait "$refused"
like "$(xenstore-read "$other/hotplug-error")" \
    "*the image is in use by process $model, the guest's device model (the guest has not unplugged its emulated disk): the guest has to unplug*" "... its toolstack is told who and why"
check "its emulated disk writes on" model_writes d1 4
is "$(od -A n -t u1 -N 1 "$refused_image" | tr -d ' ')" 4 "... and is the only one that does"

check "the first is unplugged" tell_model "drive_del d0"
tell "write 0 8 pattern=9 status=-1"
check "... the guest still cannot write" hear "write 0 8: status -1"
check "... until it leaves" guest_close
check "... and comes again" guest_io "read 0 8 expect=4" "write 0 8 pattern=5" "read 0 8 expect=5"
is "$(xenstore-read "$be/info")" 0 "... and is told that it can"

check "it detaches" detach xvda
exits 0 "... its worker ends" ended "$worker"
check "the other one detaches" detach xvdb
stop_model
assert_clean
done_testing
