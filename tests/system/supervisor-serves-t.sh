#!/bin/bash
# With blkbackd a disk is served as soon as the toolstack has made it, before the hotplug script runs: of kind
# vbd3 any, of kind vbd those with our script. The others are left alone. Detached, nothing is left.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

one=$(new_image one 1M)
two=$(new_image two 1M)
check "blkbackd tells when it is ready" supervise
exits 6 "a second one ends with 6" blkbackd -f -c "$config"

check "a disk of kind vbd attaches, InitWait first" plug xvda "$one"
is "$(xenstore-read "$be/worker-status")" running "its status is told"
like "$(tr '\0' ' ' <"/proc/$(worker_of vbd-5-51712)/cmdline")" "*blkback-vbd -f backend/vbd/5/51712 " \
    "blkbackd has started its worker"
is "$(cut -d' ' -f4,6 "/proc/$(worker_of vbd-5-51712)/stat")" "$supervisor $(worker_of vbd-5-51712)" \
    "... as its child, in a session of its own"
is "$(tr '\0' '\n' <"/proc/$(worker_of vbd-5-51712)/environ" | grep -c NOTIFY_SOCKET)" 0 \
    "... which cannot speak to the service manager"
check "a disk of kind vbd3 attaches" plug xvdb "$two" --kind=vbd3
check "a guest uses one" guest_io "write 0 8 pattern=1" "read 0 8 expect=1" flush
check "... and the other" guest_io --vdev=xvdb "write 0 8 pattern=2" "read 0 8 expect=2"
is "$(find "/proc/$(worker_of vbd3-5-51728)/fd" -lname "$work/alive")" "" "a worker inherits no descriptor"
check "the service manager is told" told "STATUS=2 disks served*"

check "a disk with another script is made" xensim vbd-attach --no-script --script=/etc/xen/scripts/block 5 xvdc "$one"
check "a disk of another kind is made" xensim vbd-attach --no-script --kind=other --script="$script" 5 xvdd "$one"
check "a third of ours attaches" plug xvde "$(new_image three 1M)"
is "$(xenstore-read "backend/vbd/5/51744/state" "backend/other/5/51760/state" | tr '\n' ' ')" "1 1 " \
    "those are left alone"
is "$(find "$BLKBACK_RUNDIR" -name '*-517*.pid' | wc -l)" 3 "there are three workers"
xenstore-rm backend/vbd/5/51744 backend/other /libxl/5/device/vbd/51744 /libxl/5/device/vbd/51760

for vdev in xvda xvdb xvde; do
    check "$vdev detaches" detach $vdev
done
check "their ends are noticed" logged "*exited with code 0*" 3
is "$(count "*warning:*") $(count "*error:*")" "0 0" "nothing was out of order"
exits 0 "blkbackd ends with 0" unsupervise
assert_clean
done_testing
