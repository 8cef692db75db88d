#!/bin/bash
# cpus=: what serves a disk runs on these processors only: its queues, and the threads that they start.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# What the threads with such a name may run on, once each.
allowed() {
    local comm

    for comm in /proc/"$worker"/task/*/comm; do
        # shellcheck disable=SC2254 # a pattern is meant
        case $(<"$comm") in $1) sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "${comm%comm}status" ;; esac
    done | sort -u
}

all=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)
last=${all##*[,-]}
image=$(new_image disk 4M)
check "cpus=$last: the disk is served" serve "$image,cpus=$last"
guest_open
tell "write 0 88 pattern=3" "flush" "read 0 88 expect=3" info
check "the guest reads what it wrote" hear "info:*"
is "$(allowed 'queue-*')" "$last" "its queue runs there only"
is "$(allowed sync)" "$last" "... and so does the thread that flushes"
exits 0 "nothing was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

check "without it the disk is served" serve "$image"
guest_open
tell "write 0 88 pattern=3" info
check "the guest writes" hear "info:*"
is "$(allowed 'queue-*')" "$all" "its queue runs where the worker does"
exits 0 "nothing was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

while read -r value error; do
    check "cpus '$value': the disk is served" serve "$image" "--set=cpus=$value"
    refuses "... a guest is not let in" guest_io "read 0 8"
    # shellcheck disable=SC2254 # a pattern is meant
    like "$(xenstore-read "$be/hotplug-error")" "$error" "... and hotplug-error says why"
    check "... the disk detaches" detach xvda
    check "... the worker ends" eventually eval "! kill -0 $worker 2>/dev/null"
    ended "$worker"
done <<'TABLE'
1023 *none of the processors 1023 is there and online*Cpus_allowed_list*
0,1 */cpus' is malformed: it is numbers of processors and ranges*
1024 */cpus' is malformed: it is numbers of processors and ranges*
TABLE
assert_clean
done_testing
