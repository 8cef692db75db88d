#!/bin/bash
# A worker in the background logs to the file BLKBACK_LOG names: what it served, and its end. A file that
# cannot be had is no reason not to serve.
# shellcheck source=tests/lib/guest.sh
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 16M)
export BLKBACK_LOG=$work/file.log
echo "an earlier line" >"$BLKBACK_LOG"

check "the disk attaches" attach xvda "$image"
check "the guest writes" guest_io "write 0 8 pattern=0x5a" flush
check "the disk detaches" detach xvda
like "$(cat "$BLKBACK_LOG")" "an earlier line*connected:*served*writes=1 flushes=1*" "the file has what happened, appended"
is "$(stat -c %a "$BLKBACK_LOG")" 644 "a file that was there keeps its mode"

rm "$BLKBACK_LOG"
check "the disk attaches again" attach xvda "$image"
check "the disk detaches" detach xvda
like "$(stat -c %a "$BLKBACK_LOG")" "6[04]0" "a new file is not for everybody"

BLKBACK_LOG=$work/none/file.log
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
blkback-vbd "$be" 2>"$work/complaint"
is $? 0 "a file that cannot be made: the worker starts"
like "$(cat "$work/complaint")" "*log file '$BLKBACK_LOG' cannot be opened*No such file*" "... and says so"
check "the disk is served" hotplug add
check "the guest reads" guest_io "read 0 8 expect=0x5a"
check "the disk detaches" detach xvda
# shellcheck disable=SC2119 # not the script's arguments
assert_clean
done_testing
