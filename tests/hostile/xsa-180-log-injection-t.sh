#!/bin/bash
# What a guest writes is repeated in log and hotplug-error without its control characters, if at all: nobody's terminal
# or log reader is told anything by a guest, and no line looks like one of another disk (XSA-180's kin).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
check "the disk is attached" xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
start_worker
: >"$work/sentences"

# deceive NODE VALUE: a frontend whose node has that value when the backend looks; and what the backend said
deceive() {
    xenstore-rm "$be/hotplug-status" 2>/dev/null
    launch exec_guest blkfront-io "read 0 8"
    await "$fe/state" 3 && as_guest xenstore-write -R -- "device/vbd/51712/$1" "$2" && hotplug add
    ended "$launched"
    xenstore-read -R "$be/hotplug-error" >>"$work/sentences" && echo >>"$work/sentences"
    xenstore-rm "$be/hotplug-error" 2>/dev/null
    as_guest xenstore-rm device/vbd/51712/ring-page-order device/vbd/51712/multi-queue-num-queues 2>/dev/null
}

evil=$'8\nblkback-vbd: vbd-6-51712: error: the disk is on fire'
refused=0
for node in ring-ref event-channel protocol feature-persistent ring-page-order multi-queue-num-queues; do
    for value in "$evil" $'\e[2J\e]0;owned\a' '%n%s%n%s' $'\x7f\x80\xff' $'\r' "$(printf 'x%.0s' {1..1000})"; do
        deceive "$node" "$value" >&2 && refused=$((refused + 1))
    done
done
is "$refused" 36 "36 values are refused"
is "$(wc -l <"$work/sentences")" 36 "each with one line in hotplug-error"
is "$(grep -c -a -P '[^\x20-\x7e]' "$work/sentences")" 0 "... of printable characters"
is "$(awk '{ if (length($0) > 500) n++ } END { print n + 0 }' "$work/sentences")" 0 "... and of reasonable length"
is "$(grep -c -a -P '[^\x20-\x7e]' "$log")" 0 "so is the log"
is "$(grep -c -a -v '^blkback-vbd: vbd-5-51712: ' "$log")" 0 "each of its lines is this disk's"
# A state is a number, or none at all.
for value in "$evil" $'\e[2J' '%n%n' 99999999999 -1; do
    as_guest xenstore-write -R -- device/vbd/51712/state "$value"
done
check "a correct guest connects" eventually guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
is "$(grep -c -a -P '[^\x20-\x7e]' "$log")" 0 "the log is clean"
check "its worker's answers are JSON" sh -c 'blkbackctl show 5/xvda --json | python3 -m json.tool >/dev/null'
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
