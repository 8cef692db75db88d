#!/bin/bash
# A domain that dies while nobody takes its disks away: its worker is told to end, so that nothing of the domain
# stays mapped; and no other is started. One that crashed but is kept has its worker still.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

# settled_but DOMID: no domain is left but dom0 and that one
settled_but() {
    local until=$((SECONDS + deadline))

    while xensim counters | grep '^domain [1-9]' | grep -v "^domain $1[^0-9]" >&2; do
        [ "$SECONDS" -lt "$until" ] || return 1
    done
}

check "blkbackd runs" supervise -d
check "the disk attaches" plug xvda "$(new_image disk 1M)"
worker=$(worker_of vbd-5-51712)
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
xensim domain-kill 5
new_guest 6
check "another guest's disk attaches" plug xvda "$(new_image other 1M)"
is "$(worker_of vbd-5-51712)" "$worker" "a domain that has crashed keeps its worker"
is "$(count "*domain gone*")" 0 "... and is not gone"

# The toolstack forgets its disk and destroys the domain.
xenstore-rm /libxl/5/device
check "the domain is destroyed" xensim domain-destroy 5
check "its death is noticed" logged "*vbd-5-51712: domain gone: running -> stopping"
check "its worker is told to end" logged "*warning: vbd-5-51712: the disk or its domain has gone, worker $worker has not: sent SIGTERM"
check "it does" logged "*vbd-5-51712: worker $worker exited with code 0*"
check "nothing else is started" logged "*vbd-5-51712: ended: terminating -> finished"
guest_kill
check "nothing is left of the domain" settled_but 6
check "the other guest is as before" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
is "$(count "*vbd-5-51712: worker * started")" 1 "there was one worker"
xenstore-rm "/local/domain/0/backend/vbd/5"
check "the disk is forgotten" logged "*vbd-5-51712: gone: finished -> absent"

# A worker that dies with its domain is not started again, and its directory not served when it is seen later.
check "a disk of the other guest stays behind" xenstore-rm /libxl/6/device
check "its worker is stopped" stop_worker "$(worker_of vbd-6-51712)"
check "the other domain is destroyed" xensim domain-destroy 6
check "its death is noticed" logged "*vbd-6-51712: domain gone: running -> stopping"
kill -KILL "$(worker_of vbd-6-51712)"
check "its worker dies" logged "*vbd-6-51712: failed: stopping -> finished"
exits 0 "blkbackd ends" unsupervise
check "blkbackd comes back" supervise
is "$(count "*vbd-6-51712: worker * started")" 1 "a dead domain's disk is not served"
exits 0 "blkbackd ends" unsupervise
xenstore-rm "/local/domain/0/backend/vbd/6"
assert_clean killed
done_testing
