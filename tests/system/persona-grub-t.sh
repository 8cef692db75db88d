#!/bin/bash
# GRUB: writes its keys and 3 without a look at the backend, polls, has one request of one page at a time, all with id 0,
# and goes with 6 at once.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

image=$(new_image disk 16M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
check "the worker comes: InitWait" start_worker
persona_open grub
tell start
check "GRUB is Initialised, before the script has reported" await "$fe/state" 3
check "the worker has seen it" eventually worker_is_quiet
is "$(xenstore-read "$be/state")" 2 "... and stays in InitWait"
check "the script reports" hotplug add
check "GRUB has its disk" hear "start: done"
tell "write 0 100 seed:1" "read 0 100 seed:1"
check "it writes and reads" hear "read 0 100 *: done"
tell stop
check "it goes, with 6" hear "stop: done"
check "the worker has let go of its pages" let_go
check "the next driver can come" handed_over
exits 0 "nothing else was wrong" guest_close
like "$(grep ' served ' "$log")" "* reads=13 writes=13 * failed=0" "as many requests as pages"

check "again: the last sector, and what was there" persona grub start "write 32767 1 9" "read 32767 1 9" \
    "read 0 100 seed:1" stop
check "... the next driver can come" handed_over
exits 1 "one that reads something else says so" persona grub start "read 0 1 seed:2"
check "GRUB takes over from one that was killed" persona grub start "read 0 100 seed:1" stop
check "... the next driver can come" handed_over
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
