#!/bin/bash
# The kernel's own backend is loaded when disks are served already, and binds to them: the worker notices by
# what it writes, makes it let go as soon as that is possible, and puts its own word in the place.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/kernel.sh
. "$(dirname "$0")/../lib/kernel.sh"

image=$(new_image disk 1M)
unbound() {
    [ "$(grep -s -c unbound "$work/kernel")" = "$1" ]
}
no_offers() {
    [ -z "$(kernel_offers)" ]
}

# ---- before a guest is there
kernel_sees_disk
check "a disk is served" serve "$image"
kernel_loads
kernel_binds
check "the kernel binds: it is made to let go" eventually unbound 1
check "... and its offers go" eventually no_offers
is "$(xenstore-read "$be/state")" 2 "... InitWait stays"
await_line "$log" "taken over from the kernel's xen-blkback, which was loaded"
refuses "... nothing is out of order" grep -e 'error:' -e 'warning:' "$log"

# ---- under a guest, which sees it only pass
guest_open
tell "write 0 8 pattern=3"
check "a guest writes" hear "write 0 8: status 0"
kernel_binds
check "the kernel binds again: it is made to let go" eventually unbound 2
check "... Connected is put back" await "$be/state" 4
check "... its offers go" eventually no_offers
is "$(xenstore-read "$be/feature-max-indirect-segments")" 256 "... and ours stay"
tell "read 0 8 expect=3"
check "... the guest goes on" hear "read 0 8: status 0*"
check "... a warning says so" await_line "$log" "warning: .*and the guest goes on"

# ---- under a guest that is just leaving: Connected must not come after Closing, Linux runs into a BUG() there
as_guest xenstore-write device/vbd/51712/state 5
check "the guest wants to leave: Closing" await "$be/state" 5
kernel_binds
check "... the kernel binds: it is made to let go" eventually unbound 3
check "... Closing is put back" await "$be/state" 5
as_guest xenstore-write device/vbd/51712/state 6
check "... the guest leaves" await "$be/state" 6
guest_kill
xenstore-write "$fe/state" 1
check "... and comes back" await "$be/state" 2
guest_open
tell "read 0 8 expect=3"
check "... the guest is served" hear "read 0 8: status 0 data ok"

# ---- it cannot be unbound before its module is loaded whole, and has told the guest to go by then
kernel_ends
kernel_sees_disk
kernel_starts_to_load
kernel_binds
check "a driver that is being loaded binds: the worker has seen it" eventually worker_is_quiet
xenstore-write "$be/state" 5
as_guest xenstore-write device/vbd/51712/state 6
check "the guest lets go: the worker closes" await "$be/state" 6
kernel_loads
check "... and the kernel lets go as soon as it can" eventually unbound 4
check "... an error says what to do" await_line "$log" "error: .*told the guest to let go of it.*until it is detached and attached again"
is "$(xenstore-read "$be/state")" 6 "... the guest is not told to come back"
guest_kill
xenstore-write "$fe/state" 1
check "a guest that starts over is served" guest_io "read 0 8 expect=3"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

# ---- it never lets go
kernel_ends
kernel_sees_disk
check "a disk is served" serve "$image"
kernel_loads without-effect
kernel_binds
check "a kernel that stays: Closing, and nobody is served" await "$be/state" 5
like "$(xenstore-read "$be/hotplug-error")" "*does not let go of it*modprobe -r xen-blkback*" "... hotplug-error says what to do"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
kernel_ends
assert_clean killed
done_testing
