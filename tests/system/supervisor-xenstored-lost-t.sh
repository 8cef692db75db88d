#!/bin/bash
# xenstored dies: blkbackd says so once, starts nothing, does not spin, and keeps trying. When xenstored is back it
# is reached again, and new disks are served.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

daemon=$(cat "$XENSIM_DIR/xenstored/pid")
mapfile -d '' -t command <"/proc/$daemon/cmdline"
mapfile -d '' -t settings <"/proc/$daemon/environ"

exec_xenstored() {
    exec env -i "${settings[@]}" "${command[@]}" 67<&- 68<&- 2>"$work/xenstored.log"
}

ticks() {
    awk '{ print $14 + $15 }' "/proc/$supervisor/stat"
}

check "blkbackd runs" supervise -d
check "the disk attaches" plug xvda "$(new_image disk 1M)"
worker=$(worker_of vbd-5-51712)
kill -KILL "$daemon"
check "the loss is noticed" logged "*error: the connection to xenstored is lost*"
check "the service manager is told" told "*no xenstored"
before=$(ticks)
check "attempts to reach it go on" logged "*debug: xenstored cannot be reached: *" 4
check "a worker that ends is not started again" logged "*worker $worker exited with code 4 (no xenstored); another is started in 100 ms"
like "$(($(ticks) - before))" "[0-9]" "it has hardly used any CPU"
is "$(count "blkbackd: error:*")" 1 "the loss was told once"
is "$(count "*worker * started")" 1 "nothing was started"

exec_xenstored &
check "xenstored is reached again" logged "*xenstored is reached again"
new_guest 6
check "what was in xenstored before is gone, its disk forgotten" told "STATUS=0 disks served, 0 ending, 0 waiting for a restart, 0 given up"
check "a new disk is served" plug xvda "$images/disk"
check "a guest uses it" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "it detaches" detach xvda
exits 0 "blkbackd ends with 0" unsupervise
is "$(find "$BLKBACK_RUNDIR" -name '*.pid')" "" "no pid file is left"
xensim domain-destroy 6 >&2
done_testing
