#!/bin/bash
# A producer index that cannot be: the ring is not touched again, the disk goes Closing with a line in the
# log, other disks do not notice, and the guest may start over (R16).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
check "a disk is served" serve "$image"
check "another disk is served" attach xvdb "$(new_image other 1M)"
guest_pid=
guest_open --vdev=xvdb
other_pid=$guest_pid
exec {to_other}>&"${guest_pipe[1]}" {from_other}<&"${guest_pipe[0]}"

broken=0
while read -r order by; do
    broken=$((broken + 1))
    # What follows the overrun never ends well: the exit status is 1.
    guest_io --ring-order="$order" "write 0 8 pattern=$broken" "overrun $by" "backend Closing" >"$work/said"
    like "$(cat "$work/said")" "*write 0 8: status 0*backend: Closing" "overrun by $by: the disk is closing"
    is "$(xenstore-read "$be/state")" 6 "$by: the guest leaves, the disk is Closed"
    like "$(xenstore-read "$be/hotplug-error")" "*broke its ring*" "$by: hotplug-error says why"
    is "$(grep -c 'broke its ring' "$log")" "$broken" "$by: the log says it once"
    echo "read 0 8 expect=0" >&"$to_other"
    read -r -t "$deadline" -u "$from_other" answer
    is "$answer" "read 0 8: status 0 data ok" "$by: the other disk does not notice"
    check "$by: the guest may come back" guest_io "read 0 8 expect=$broken"
done <<'TABLE'
0 33
0 64
0 2147483648
0 2147483647
0 4294967295
0 -1
4 513
4 -1
TABLE
# What breaks a ring of one page is the right of a larger one, though no request lies behind it.
refuses "33 in a ring of 16 pages" guest_io --ring-order=4 "write 0 8 pattern=1" "overrun 33" \
    "read 0 8 status=any" 2>"$work/said"
like "$(cat "$work/said")" "*response to no request*" "... are taken, and answered"
is "$(grep -c 'broke its ring' "$log")" "$broken" "... and nothing is broken"
kill -KILL "$other_pid"
exec {to_other}>&- {from_other}<&-
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
