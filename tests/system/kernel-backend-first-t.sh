#!/bin/bash
# The kernel's own backend, xen-blkback, is loaded before a disk is attached. The worker waits for it to come,
# makes it let go, and removes what it offered before a guest can believe it. Not loaded, it costs nothing.
#
#   toolstack 1 -> kernel binds, its offers, 2 -> worker unbinds, offers gone, its own, 2
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/kernel.sh
. "$(dirname "$0")/../lib/kernel.sh"

image=$(new_image disk 1M)

kernel_sees_disk
check "not loaded: a disk attaches" attach xvda "$image"
check "... a guest uses it" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "... it detaches" detach xvda
rm -r "$bus"

# ---- it was faster than us
kernel_loads
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
kernel_binds
launch exec_logged blkback-vbd -f "$be"
worker=$launched
check "bound before the worker comes" await "$be/kthread-pid" "$worker"
refuses "... the kernel has let go" kernel_is_bound
is "$(cat "$work/kernel")" "unbound vbd-5-51712 0" "... told once, by the disk's name"
check "... the script finds the worker" hotplug add
is "$(kernel_offers)" "" "... what the kernel offered is gone"
is "$(xenstore-read "$be/state" "$be/kthread-pid" | tr '\n' ' ')" "2 $worker " "... and InitWait is ours"
check "... a guest is served" guest_io "write 0 8 pattern=2" "read 0 8 expect=2" flush
like "$(cat "$log")" "*taken over from the kernel's xen-blkback*" "... the log says so"
refuses "... as nothing out of order" grep -e 'error:' -e 'warning:' "$log"
check "... it detaches" detach xvda
exits 0 "... and the worker ends with 0" ended "$worker"

# ---- we are faster
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
launch exec_logged blkback-vbd -f "$be"
worker=$launched
check "loaded, but not there yet: the worker waits" eventually [ -e "$BLKBACK_RUNDIR/vbd-5-51712.sock" ]
kernel_binds
check "... until the kernel has come, and gone" await "$be/kthread-pid" "$worker"
check "... nothing of it is left" eventually kernel_is_gone
check "... it is served" hotplug add
check "... it detaches" detach xvda
exits 0 "... and the worker ends with 0" ended "$worker"
is "$(grep -c unbound "$work/kernel")" 2 "the kernel was told once each time"

# ---- it does not come
check "a kernel that does not come is not waited for for ever" attach xvda "$image"
check "... the disk detaches" detach xvda
echo 0 >"$bus/drivers_autoprobe"
check "nor one that binds to nothing by itself" attach xvda "$image"
check "... the disk detaches" detach xvda
echo 1 >"$bus/drivers_autoprobe"

# ---- a frontend was faster than us, and agreed with the kernel
offered_to_running_guest() {
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
    kernel_binds
    as_guest xenstore-write device/vbd/51712/ring-ref 8 device/vbd/51712/event-channel 5 "$@" device/vbd/51712/state 3
}

offered_to_running_guest device/vbd/51712/multi-queue-num-queues 16
exits 8 "agreed on what we do not serve: the worker ends with 8" blkback-vbd -f "$be"
refuses "... nobody has the disk" kernel_is_bound
exits 1 "... the script's worker, too, and add fails" hotplug add
like "$(xenstore-read "$be/hotplug-error")" "*agreed with it on what is not served here: detach the disk*multi-queue-num-queues*" \
    "... hotplug-error says what to do"
is "$(xenstore-read "$be/hotplug-status")" error "... so the toolstack fails"
xenstore-write "$be/online" 0 "$be/state" 5
blkback-vbd -f "$be" 2>/dev/null
check "... the disk can be closed" await "$be/state" 6
check "... and taken away" withdraw
kernel_ends
assert_clean
done_testing
