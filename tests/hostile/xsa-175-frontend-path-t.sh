#!/bin/bash
# Whatever a guest writes where only a toolstack should, it is served its own disk and no other: nothing in its directory
# names a path or a domain to us, and the backend's directory is not its to write (XSA-175, XSA-178, R25).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
other=$(new_image other 1M)
qemu-io -f raw -c "write -P 7 0 1M" "$image" >&2
qemu-io -f raw -c "write -P 9 0 1M" "$other" >&2
before=$(sha256sum <"$other")
victim=6
check "another domain has a disk" xensim domain-create "$victim"
check "..." xensim vbd-attach --script="$script" "$victim" xvda "$other"
check "the disk is served" serve "$image" --mode=r

# Its own directory: as the toolstack's nodes are called, and as the backend's
for node in "frontend /local/domain/$victim/device/vbd/51712" "frontend-id $victim" "params $other" "mode w" "online 0" \
    "physical-device-path $other" "physical-device-id 0" "type phy" "cache-mode unsafe" "features-off flush-cache" \
    "script /bin/false" "hotplug-status error" "info 0" "sectors 99999999" "domain $victim"; do
    # shellcheck disable=SC2086 # two words
    as_guest xenstore-write device/vbd/51712/${node% *} "${node#* }"
done
check "it is served its own disk" guest_io "read 0 8 expect=7" "write 0 8 pattern=1 status=-1" flush
is "$(xenstore-read "$be/info")" 4 "read-only, as the toolstack said"
like "$(grep 'connected:' "$log" | tail -n 1)" "*sectors=2048 access=read-only*flush=1*" "... and of its own size"

# Where the backend is, the guest may tell others, not us.
is "$(as_guest xenstore-read device/vbd/51712/backend)" "$be" "the guest knows its backend"
as_guest xenstore-write device/vbd/51712/backend "/local/domain/0/backend/vbd/$victim/51712" device/vbd/51712/backend-id "$victim"
as_guest xenstore-write device/vbd/51712/state 1
check "its own worker still looks at its state" await "$be/state" 2
as_guest xenstore-write device/vbd/51712/backend "$be" device/vbd/51712/backend-id 0
check "it is served as before" guest_io "read 0 8 expect=7"

# Ours: xenstored knows who asks.
for node in state frontend params physical-device-path mode hotplug-status online sectors; do
    refuses "the guest cannot write the backend's $node" as_guest xenstore-write "$be/$node" 1
done
refuses "... nor another's" as_guest xenstore-write "/local/domain/0/backend/vbd/$victim/51712/params" "$image"
refuses "... nor the other guest's state" as_guest xenstore-write "/local/domain/$victim/device/vbd/51712/state" 6
domid=$victim
check "the other disk is untouched" guest_io "read 0 8 expect=9"
check "... and detaches" detach xvda
domid=5
is "$(sha256sum <"$other")" "$before" "nothing was written to it"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
