#!/bin/bash
# Two disks on one image: refused when one of them writes, by whatever name it is called; allowed when all
# only read, when the operator says w!, or when two domains are one VM: the two sides of a migration within this
# host, or a guest and its stub domain. Of two scripts at the same time exactly one wins.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
ln "$image" "$images/hard"
ln -s disk "$images/soft"
xensim domain-create 6
other=/local/domain/0/backend/vbd/6/51712

# of DOMID COMMAND...: a command of guest.sh about that domain
of() {
    local domid=$1

    "${@:2}"
}

attach_other() {
    of 6 attach xvda "$@"
}

withdraw_other() {
    of 6 withdraw
}

# first second result
while read -r mode1 mode2 result; do
    attach xvda "$image" --set=mode="$mode1" || say "the first disk does not attach"
    for name in "$image" "$images/hard" "$images/soft" "raw:$image"; do
        if [ "$result" = allowed ]; then
            check "$mode1 and $mode2 as ${name##*/}: allowed" attach_other "$name" --set=mode="$mode2"
        else
            refuses "$mode1 and $mode2 as ${name##*/}: refused" attach_other "$name" --set=mode="$mode2"
            like "$(xenstore-read "$other/hotplug-error")" "*in use by the disk backend/vbd/5/51712*" "... says by whom"
        fi
        withdraw_other
    done
    detach xvda
done <<'TABLE'
w w refused
w r refused
r w refused
r r allowed
w! w! allowed
TABLE

# become_vm DOMID LIKE: that domain has the VM of the other one from now on.
become_vm() {
    xenstore-rm "$(xenstore-read "/local/domain/$1/vm")"
    xenstore-write "/local/domain/$1/vm" "$(xenstore-read "/local/domain/$2/vm")"
}

# worker_has_image DOMID: whether that domain's worker has the image open
worker_has_image() {
    readlink "/proc/$(cat "$BLKBACK_RUNDIR/vbd-$1-51712.pid")/fd"/* | grep -q -x -F "$image"
}

own_vm=$(xenstore-read /local/domain/6/vm)
attach xvda "$image" || say "the first disk does not attach"
refuses "a second disk of the same domain is refused" attach xvdb "$image"
like "$(xenstore-read /local/domain/0/backend/vbd/5/51728/hotplug-error)" "*in use by the disk*" "... says by whom"
xenstore-rm /local/domain/0/backend/vbd/5/51728 /local/domain/5/device/vbd/51728 /libxl/5/device/vbd/51728

# A stub domain works for its target; libxl says so in this node.
xenstore-write /local/domain/6/target 5
check "the disk of the guest's stub domain is allowed" attach_other "$image"
check "... and ends" of 6 detach xvda
xenstore-write /local/domain/6/target 7
refuses "the disk of another guest's stub domain is refused" attach_other "$image"
withdraw_other
xenstore-rm /local/domain/6/target
xenstore-write /local/domain/5/target 6
check "the disk of a stub domain's guest is allowed" attach_other "$image"
check "... and ends" of 6 detach xvda
xenstore-rm /local/domain/5/target

vm=$(xenstore-read /local/domain/5/vm)
xenstore-rm /local/domain/5/vm /local/domain/6/vm
refuses "two domains without a VM are not the same" attach_other "$image"
withdraw_other
xenstore-write /local/domain/5/vm "$vm" /local/domain/6/vm "$own_vm"

# Migration: the disk of the new domain is there before the old one has let go of its own.
become_vm 6 5
guest_open
tell "write 0 8 pattern=5" "async write 8 8 pattern=5"
check "the old domain works" hear "write 0 8: status 0"
check "the new domain's disk is allowed" attach_other "$image"
is "$(xenstore-read "$other/state")" 2 "... it waits for its frontend"
check "the old worker has the image open" worker_has_image 5
refuses "... the new one has not" worker_has_image 6
exits 0 "the old domain is through" guest_close
check "its disk goes" detach xvda
refuses "the new one has still not opened the image" worker_has_image 6
check "the new domain has what the old one wrote" of 6 guest_io "read 0 16 expect=5" "write 0 8 pattern=6"
xensim domain-create 7
refuses "a third domain is refused" of 7 attach xvda "$image"
of 7 withdraw
xensim domain-destroy 7
check "the new domain's disk goes, too" of 6 detach xvda
xenstore-write /local/domain/6/vm "$own_vm"

# Two processes wait for the lock that we hold; their descriptor 9 is the claim.
both_wait() {
    local pid n=0

    while read -r pid; do
        [ ! "/proc/$pid/fd/9" -ef "$lock" ] || n=$((n + 1))
    done < <(awk '$2 == "->" { print $6 }' /proc/locks)
    [ "$n" -eq 2 ]
}

# Both find the image free only if both look before one of them has claimed it. Holding the claim lets
# both come as far as that.
winners=
lock=$BLKBACK_RUNDIR/claim-$(stat -c 'file-%d-%i' "$image").lock
for _ in 1 2 3; do
    exec {claim}>"$lock"
    flock "$claim"
    attach xvda "$image" >&2 {claim}>&- &
    first=$!
    attach_other "$image" >&2 {claim}>&- &
    second=$!
    check "both wait for the claim" eventually both_wait
    is "$(xenstore-read "$be/hotplug-status" 2>/dev/null)$(xenstore-read "$other/hotplug-status" 2>/dev/null)" "" \
        "no script goes on without it"
    exec {claim}>&-
    wait "$first"
    first=$?
    wait "$second"
    second=$?
    winners="$winners $((first + second))"
    is "$(xenstore-read "$be/hotplug-status" "$other/hotplug-status" | sort | paste -sd' ')" "connected error" \
        "one is connected, one is told"
    withdraw
    withdraw_other
done
is "$winners" " 1 1 1" "of two at once, one wins each time"
check "the image is free again" attach xvda "$image"
check "... and works" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
detach xvda
assert_clean
done_testing
