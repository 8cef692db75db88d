#!/bin/bash
# blkbackd may end, orderly or not, and come back: a guest goes on meanwhile, and the new one looks after the
# same worker. One that the hotplug script started is adopted, too.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

image=$(new_image disk 4M)
check "blkbackd runs" supervise
check "the disk attaches" plug xvda "$image"
worker=$(worker_of vbd-5-51712)
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"

exits 0 "blkbackd ends" unsupervise
tell "write 8 8 pattern=2"
check "the guest notices nothing" hear "write 8 8: status 0"
check "blkbackd comes back" supervise
check "it adopts the worker" logged "*vbd-5-51712: worker $worker runs already: adopted"
kill -KILL "$supervisor"
exits 137 "blkbackd is killed" ended "$supervisor"
tell "write 16 8 pattern=3" "read 0 8 expect=1" "read 8 8 expect=2"
check "the guest notices nothing" hear "read 8 8: status 0 data ok"
check "blkbackd comes back again" supervise
check "it adopts the worker again" logged "*worker $worker runs already: adopted" 2
is "$(count "*: worker * started")" 1 "no other worker was ever started"
exits 0 "the guest leaves" guest_close

kill -KILL "$worker"
check "an adopted worker that dies is started again" logged "*warning: vbd-5-51712: worker $worker has ended; another *"
check "..." logged "*vbd-5-51712: worker * started" 2
check "it serves" guest_io "read 16 8 expect=3"
exits 0 "blkbackd ends" unsupervise
check "the disk is detached meanwhile" detach xvda
check "attached without it: the script starts the worker" attach xvda "$image"
worker=$(worker_of vbd-5-51712)
check "blkbackd comes back" supervise
check "it adopts the script's worker" logged "*worker $worker runs already: adopted"
check "the disk detaches" detach xvda
check "the end of an adopted worker is noticed" logged "*: vbd-5-51712: worker $worker has ended"

# Both at once: without waiting for InitWait the script may be first, whoever wins serves.
for i in $(seq 5); do
    check "attach $i without waiting" attach xvda "$image"
    check "a guest uses it" guest_io "read 0 8 expect=1"
    check "detach $i" detach xvda
done
check "nothing is served" told "STATUS=0 disks served, 0 ending*"

exits 0 "blkbackd ends" unsupervise
check "a disk attaches" attach xvda "$image"
worker=$(worker_of vbd-5-51712)
kill -KILL "$worker"
check "a killed worker has left its pid file" test -e "$BLKBACK_RUNDIR/vbd-5-51712.pid"
check "blkbackd comes back" supervise
check "the disk is served again" guest_io "read 0 8 expect=1"
is "$(count "*error:*")" 0 "nothing was given up"
check "the disk detaches" detach xvda
exits 0 "blkbackd ends" unsupervise

check "a disk attaches" attach xvda "$image"
kill -KILL "$(worker_of vbd-5-51712)"
check "without a worker it is taken away by force" withdraw
check "blkbackd comes back" supervise
exits 0 "blkbackd ends" unsupervise
assert_clean killed
done_testing
