#!/bin/bash
# What a guest may write into its nodes instead of what is expected: the disk goes Closing, hotplug-error
# names the node and what is wrong, and a correct frontend can connect afterwards (R25, XSA-175).
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# A real frontend shakes hands, but between its keys and the backend's look one of them changes:
# the hotplug script has not said which storage it is, so the backend waits.
deceive() {
    xenstore-rm "$be/hotplug-status" 2>/dev/null
    xenstore-rm "$be/hotplug-error" 2>/dev/null
    # shellcheck disable=SC2086 # options are words
    guest_open $options
    await "$fe/state" 3 || return 1
    if [ "$2" = MISSING ]; then
        as_guest xenstore-rm "device/vbd/51712/$1" || return 1
    else
        as_guest xenstore-write -- "device/vbd/51712/$1" "${2#EMPTY}" || return 1
    fi
    hotplug add
}

image=$(new_image disk 1M)
check "the disk is attached" xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
started=$SECONDS
start_worker --max-queues=4
attempts=1
options=

# NODE VALUE PATTERN on each line of standard input
play_table() {
    while read -r node value pattern; do
        attempts=$((attempts + 1))
        check "$node = '$value'" deceive "$node" "$value"
        refuses "$node = '$value': the frontend is refused" guest_close
        like "$(xenstore-read "$be/hotplug-error")" "$pattern" "... and told why"
        as_guest xenstore-rm device/vbd/51712/ring-page-order device/vbd/51712/ring-ref0 \
            device/vbd/51712/multi-queue-num-queues device/vbd/51712/feature-persistent 2>/dev/null
        # shellcheck disable=SC2086 # options are words
        check "... and a correct one connects" guest_io $options "write 0 8 pattern=1" "read 0 8 expect=1"
    done
}

play_table <<'TABLE'
ring-ref x8 *'*/ring-ref' = 'x8'*
ring-ref EMPTY */ring-ref'*
ring-ref -1 */ring-ref' = '-1'*
ring-ref 4294967296 */ring-ref' = '4294967296'*
ring-ref 8x */ring-ref' = '8x'*
ring-ref MISSING */ring-ref' is missing*
ring-ref 4294967295 *ring-ref 4294967295*cannot be mapped*
ring-page-order 4294967295 */ring-page-order' = '4294967295'*0 to 4*
ring-page-order 5 */ring-page-order' = '5'*0 to 4*
ring-page-order -1 */ring-page-order' = '-1'*0 to 4*
ring-page-order two */ring-page-order' = 'two'*0 to 4*
ring-page-order EMPTY */ring-page-order' = ''*0 to 4*
ring-page-order 1 */ring-ref0' is missing*
ring-page-order 0 */ring-ref0' is missing*
event-channel 0 */event-channel' = '0'*
event-channel 4294967296 */event-channel' = '4294967296'*
event-channel none */event-channel' = 'none'*
event-channel MISSING */event-channel' is missing*
event-channel 1 *event-channel 1 of domain 5 cannot be bound*
event-channel 4000 *event-channel 4000 of domain 5 cannot be bound*
protocol nonsense */protocol' = 'nonsense'*
protocol x86_64-abix */protocol' = 'x86_64-abix'*
feature-persistent 2 */feature-persistent' = '2'*
multi-queue-num-queues 0 */multi-queue-num-queues' = '0'*1 to 4*
multi-queue-num-queues 5 */multi-queue-num-queues' = '5'*1 to 4*
multi-queue-num-queues -1 */multi-queue-num-queues' = '-1'*
multi-queue-num-queues 4294967297 */multi-queue-num-queues' = '4294967297'*
multi-queue-num-queues two */multi-queue-num-queues' = 'two'*
multi-queue-num-queues 2 */queue-0/ring-ref' is missing*
TABLE
# A ring of 16 pages, of which one is wrong.
options=--ring-order=4
play_table <<'TABLE'
ring-page-order 5 */ring-page-order' = '5'*0 to 4*
ring-ref0 MISSING */ring-ref0' is missing*
ring-ref3 MISSING */ring-ref3' is missing*
ring-ref15 MISSING */ring-ref15' is missing*
ring-ref3 x */ring-ref3' = 'x'*
ring-ref15 4294967296 */ring-ref15' = '4294967296'*
ring-ref3 4294967295 *another page of that ring*cannot be mapped*
ring-ref15 4294967294 *another page of that ring*cannot be mapped*
TABLE
# Four queues, of which one is wrong.
options=--queues=4
play_table <<'TABLE'
multi-queue-num-queues 5 */multi-queue-num-queues' = '5'*1 to 4*
queue-0/ring-ref MISSING */queue-0/ring-ref' is missing*
queue-2/ring-ref MISSING */queue-2/ring-ref' is missing*
queue-3/ring-ref x */queue-3/ring-ref' = 'x'*
queue-3/ring-ref 4294967295 queue 3: ring-ref 4294967295*cannot be mapped*
queue-1/event-channel MISSING */queue-1/event-channel' is missing*
queue-3/event-channel 0 */queue-3/event-channel' = '0'*
queue-3/event-channel 4000 queue 3: event-channel 4000*cannot be bound*
TABLE
options="--queues=3 --ring-order=2"
play_table <<'TABLE'
queue-2/ring-ref3 MISSING */queue-2/ring-ref3' is missing*
queue-1/ring-ref2 4294967295 queue 1: *another page of that ring*cannot be mapped*
TABLE
options=
long=$(printf '9%.0s' $(seq 1000))
check "a number of 1000 digits" deceive ring-ref "$long"
refuses "a number of 1000 digits: refused" guest_close
[ "$(xenstore-read "$be/hotplug-error" | wc -c)" -lt 500 ]
ok $? "... without repeating it"
# 8 lines in 10 seconds, which begin with a line: backend/util/limits.h. As long as that is less than one each.
lines=$(grep -c 'the frontend is refused' "$log")
limit=$((8 * ((SECONDS - started + 1) / 10 + 1)))
[ "$lines" -ge 1 ] && [ "$lines" -le "$((limit < attempts ? limit : attempts))" ]
ok $? "$lines log lines tell of $attempts refusals"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
