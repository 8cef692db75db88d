#!/bin/bash
# transfer=: how data gets to the guest's pages, as the administrator chose it; and how many pages all workers of a host have mapped
# together: beyond that they copy, and what a killed one had is free again.
# shellcheck source=tests/lib/guest.sh disable=SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# total NAME
total() {
    blkbackctl --json show "$domid/xvda" 2>/dev/null | grep -o "\"$1\":[0-9]*" | head -n 1 | cut -d: -f2
}

# How the data got to the guest: persistent, mapped, copied (0 or 1 each)
ways() {
    local name all=

    for name in persistent mapped copied; do
        all="$all $(($(total "segments_$name") > 0))"
    done
    echo "${all# }"
}

work_through() {
    guest_open "$@"
    tell "write 0 88 pattern=3" "write 88 8 pattern=4" "read 0 88 expect=3" "read 88 8 expect=4" info
    check "... the guest reads what it wrote" hear "read 88 8: status 0 data ok"
    hear "info:*" >/dev/null
}

image=$(new_image disk 4M)
while read -r way offered guest want; do
    check "transfer=$way: the disk is served" serve "$image,transfer=$way"
    work_through --persistent="$guest"
    is "$(xenstore-read "$be/feature-persistent")" "$offered" "... feature-persistent"
    is "$(ways)" "$want" "... with persistent=$guest in the guest: persistent, mapped, copied"
    is "$(total grants_over_limit)" 0 "... nothing was too much"
    exits 0 "... nothing else was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
done <<'TABLE'
auto 1 1 1 0 0
auto 1 0 0 0 1
map 1 1 1 0 0
map 1 0 0 1 0
copy 0 1 0 0 1
copy 0 0 0 0 1
TABLE

# Node values no script of ours would write.
check "transfer=direct: the disk is served" serve "$image" --set=transfer=direct
refuses "... a guest is not let in" guest_io "read 0 8"
like "$(xenstore-read "$be/hotplug-error")" "*transfer' is malformed: it is auto, map or copy*" "... and hotplug-error says why"
check "... the disk detaches" detach xvda
check "... the worker ends" eventually eval "! kill -0 $worker 2>/dev/null"
ended "$worker"

# ---- all workers of the host together
image2=$(new_image other 4M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
check "a disk, where 40 pages may be mapped in all" start_worker --max-grants=40
check "... is served" hotplug add
worker1=$worker
work_through
is "$(ways)" "1 0 0" "... and uses them"
exits 0 "the guest closes" guest_close
is "$(total grants_mapped)" "$(total grants_unmapped)" "... and all are back"
guest_open
tell "write 0 88 pattern=3" "write 88 88 pattern=3" "write 176 80 pattern=3" info
check "it uses them once more" hear "info:*"
new_guest 6

xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image2"
check "another disk of another guest" start_worker --max-grants=40
check "... is served" hotplug add
check "... and what it reads and writes is right" guest_io "write 0 88 pattern=5" "read 0 88 expect=5" "write 88 88 pattern=6" \
    "read 88 88 expect=6"
is "$(ways)" "$(($(total segments_persistent) > 0)) 0 1" "... by copy"
is "$(($(total grants_over_limit) > 0))" 1 "... because of the limit, and it says so"
before=$(total segments_copied)
check "the first worker is killed" kill -KILL "$worker1"
ended "$worker1"
check "... the other one's guest has the pages now" guest_io "write 0 88 pattern=7" "read 0 88 expect=7"
is "$(total segments_copied)" "$before" "... nothing more is copied"
check "its disk detaches" detach xvda
exits 0 "... and its worker ends with 0" ended "$worker"
exits 2 "no more than Xen can have" blkback-vbd --max-grants=16777217 "$be"
exits 2 "no words" blkback-vbd --max-grants=many "$be"
done_testing
