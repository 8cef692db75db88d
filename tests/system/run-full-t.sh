#!/bin/bash
# The run directory is full: without a pid file and a control socket nothing is served, the toolstack is told why,
# blkbackd tries again, and with room everything works.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

undo() {
    ! mountpoint -q "$BLKBACK_RUNDIR" || umount -l "$BLKBACK_RUNDIR"
}

mkdir -p "$BLKBACK_RUNDIR"
mount -t tmpfs -o size=4k,mode=700 tmpfs "$BLKBACK_RUNDIR" 2>/dev/null || skip_all "no small file system can be mounted"

fill() {
    dd if=/dev/zero of="$BLKBACK_RUNDIR/filler" bs=4096 count=1 status=none
}

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

image=$(new_image disk 1M)
fill
check "a disk is made" xensim vbd-attach --no-script --script="$script" 5 xvda "$image"
exits 1 "without room the script's worker does not start" hotplug add
like "$(node hotplug-error)" "*'$BLKBACK_RUNDIR/vbd-5-51712.pid'*No space left on device*" "... hotplug-error says why"
is "$(node hotplug-status)$(node physical-device-id)" error "... and nothing is claimed"
withdraw
is "$(ls "$BLKBACK_RUNDIR")" filler "... nor left in the directory"

exits 1 "blkbackd does not start either" blkbackd -f -c "$config" 2>"$work/said"
like "$(cat "$work/said")" "*'$BLKBACK_RUNDIR/blkbackd.pid'*No space left on device*" "... and says why"
rm "$BLKBACK_RUNDIR/filler"
configure "restart-delay-min = 10ms" "restart-limit = 100"
check "with room it does" supervise
# The supervisor's own pid file has the one page there is.
check "a disk is made" xensim vbd-attach --no-script --script="$script" 5 xvda "$image"
check "its worker finds no room" logged "*No space left on device*"
check "... blkbackd starts others" logged "*another is started in * ms" 2
check "the file system grows" mount -o remount,size=1m "$BLKBACK_RUNDIR"
check "the disk is served" await "$be/state" 2
check "... and attaches" hotplug add
check "a guest uses it" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "it detaches" detach xvda
exits 0 "blkbackd ends" unsupervise
umount "$BLKBACK_RUNDIR"
assert_clean
done_testing
