#!/bin/bash
# Two disks on one image: refused when one of them writes, by whatever name it is called; allowed when all
# only read, or when the operator says w!. Of two scripts at the same time exactly one wins.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
ln "$image" "$images/hard"
ln -s disk "$images/soft"
xensim domain-create 6
other=/local/domain/0/backend/vbd/6/51712

attach_other() {
    domid=6 attach xvda "$@"
}

withdraw_other() {
    domid=6 withdraw
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

# Two processes wait for the lock that we hold; their descriptor 9 is the claim.
both_wait() {
    local pid n=0

    while read -r pid; do
        [ ! "/proc/$pid/fd/9" -ef "$BLKBACK_RUNDIR/claim.lock" ] || n=$((n + 1))
    done < <(awk '$2 == "->" { print $6 }' /proc/locks)
    [ "$n" -eq 2 ]
}

# Both find the image free only if both look before one of them has claimed it. Holding the claim lets
# both come as far as that.
winners=
for _ in 1 2 3; do
    exec {claim}>"$BLKBACK_RUNDIR/claim.lock"
    flock "$claim"
    attach xvda "$image" >&2 {claim}>&- &
    first=$!
    attach_other "$image" >&2 {claim}>&- &
    second=$!
    check "both wait for the claim" eventually both_wait
    is "$(xenstore-read "$be/hotplug-status" "$other/hotplug-status" 2>/dev/null)" "" "no script goes on without it"
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
