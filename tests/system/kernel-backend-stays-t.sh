#!/bin/bash
# The kernel's own backend has the disk and does not let go: never do both serve it. The attach fails within
# its time, and hotplug-error says what to do; so does a detach not hang.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"
# shellcheck source=tests/lib/kernel.sh
. "$(dirname "$0")/../lib/kernel.sh"

image=$(new_image disk 1M)

# stays NAME HOW WHY: with a supervisor and without
stays() {
    kernel_loads "$2"
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
    kernel_binds
    exits 8 "$1: the worker ends with 8" blkback-vbd -f "$be" 2>"$work/said"
    like "$(cat "$work/said")" "*does not let go of it*unbind: $3*modprobe -r xen-blkback*attach the disk again" "... and says what to do"
    exits 1 "... the script fails" hotplug add 2>/dev/null
    like "$(xenstore-read "$be/hotplug-error")" "the worker does not start: *does not let go of it*attach the disk again" "... hotplug-error has it"
    is "$(xenstore-read "$be/hotplug-status") $(xenstore-ls "$be" | grep -c physical-device)" "error 0" "... nothing is claimed"
    is "$(xenstore-read "$be/state")$(kernel_is_bound && echo bound)" 2bound "... the kernel's disk is left as it is"
    xenstore-rm "$be" "$fe" "/libxl/$domid/device/vbd/51712"
    rm "$bus/devices/vbd-5-51712/driver"
    kernel_ends
}

stays "the order fails" refuses "Is a directory"
stays "the order has no effect" without-effect "without effect"

# ---- with a supervisor, as libxl does it: the kernel's InitWait is not the worker's
kernel_loads without-effect
check "blkbackd is ready" supervise
kernel_takes_disk
plug xvda "$image" 2>"$work/said" &
plugging=$!
check "the toolstack makes the disk" eventually xenstore-exists "$be/state"
kernel_makes_offers
exits 1 "the attach fails" wait "$plugging"
like "$(xenstore-read "$be/hotplug-error")" "*xen-blkback*modprobe -r xen-blkback*attach the disk again" "... hotplug-error says what to do"
check "blkbackd gives up" logged "*exited with code 8 (the kernel's xen-blkback has the disk*given up*"
is "$(xenstore-read "$be/worker-status")" failed "... and tells"
check "the disk can be detached all the same" detach xvda
kernel_ends
exits 0 "blkbackd ends with 0" unsupervise
assert_clean
done_testing
