#!/bin/bash
# A disk that is detached and attached again has its data, the script starting and ending a worker each time.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
for i in 1 2 3; do
    check "$i: attach" attach xvda "$image"
    [ "$i" = 1 ] || check "$i: the data of before" guest_io "read 0 88 expect=seed:$((i - 1))"
    check "$i: new data" guest_io "write 0 88 pattern=seed:$i"
    check "$i: detach" detach xvda
    is "$(xenstore-list "$be" 2>/dev/null)" "" "$i: the backend's directory is gone"
    is "$(find "$BLKBACK_RUNDIR" -name '*.pid')" "" "$i: so is the worker"
done

check "attached while no guest looks: it can go at once" attach xvda "$image"
check "detach" detach xvda

# The guest follows a backend that wants to close.
check "attach" attach xvda "$image"
guest_open
tell "read 0 88 expect=seed:3"
check "a connected guest" hear "read 0 88: status 0 data ok"
launch detach xvda
tell "backend Closing" close
check "detach with a guest that follows" ended "$launched"
guest_close
assert_clean
done_testing
