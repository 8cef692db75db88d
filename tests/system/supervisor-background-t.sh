#!/bin/bash
# Without a service manager: blkbackd goes into the background when it has looked at all disks, logs to a file, and
# its workers with it.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

image=$(new_image disk 1M)
export BLKBACK_LOG=$suplog
check "a disk is there already" xensim vbd-attach --no-script --script="$script" 5 xvda "$image"
cd "$work" || exit 1
exits 0 "blkbackd goes into the background" blkbackd -c blkbackd.conf
cd / || exit 1
check "it has started the disk's worker" await "$be/state" 2
supervisor=$(cat "$BLKBACK_RUNDIR/blkbackd.pid")
is "$(cut -d' ' -f6 "/proc/$supervisor/stat") $(readlink "/proc/$supervisor/cwd")" "$supervisor /" \
    "it is in a session of its own, and in no one's directory"
check "the script reports success" hotplug add
check "a guest uses the disk" guest_io "write 0 8 pattern=1" flush
check "its worker logs to the same file" logged "blkback-vbd: vbd-5-51712: connected:*"
exits 6 "a second one ends with 6" blkbackd -c "$config"
kill -HUP "$supervisor"
check "the configuration is found again" logged "*configuration read again from '$work/blkbackd.conf'"
check "the disk detaches" detach xvda

check "blkbackd ends" kill -TERM "$supervisor"
check "..." logged "*asked to stop by signal 15: the workers go on"
check "its pid file is gone" eventually test ! -e "$BLKBACK_RUNDIR/blkbackd.pid"
unset BLKBACK_LOG

# Without a log file, workers are told to use syslog as it does.
exits 0 "blkbackd runs again" blkbackd -c "$config"
check "the disk attaches" plug xvda "$image"
like "$(tr '\0' ' ' <"/proc/$(worker_of vbd-5-51712)/cmdline")" "*blkback-vbd -f -s backend/vbd/5/51712 " \
    "its worker logs to syslog"
check "the disk detaches" detach xvda
kill -TERM "$(cat "$BLKBACK_RUNDIR/blkbackd.pid")"
assert_clean
done_testing
