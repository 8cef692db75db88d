#!/bin/bash
# engine=: what direct I/O is done with, as the administrator chose it; and a host that does not let anybody use io_uring.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
unset XENSIM_NODES

has-uring || skip_all "there is no io_uring here"

# shown: what `show` says of the engine
shown() {
    blkbackctl show "$domid/xvda" | sed -n 's/^  engine *//p'
}

# How many descriptors of io_uring the worker has.
rings() {
    find "/proc/$worker/fd" -lname 'anon_inode:*io_uring*' | wc -l
}

forbidden() {
    launch exec_logged forbid-uring blkback-vbd -f "$be"
    worker=$launched
    await "$be/state" 2
}

offer() {
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1"
}

end_disk() {
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
}

image=$(new_image disk 4M)
while read -r options rings says; do
    check "'$options': the disk is served" serve "$image$options"
    guest_open
    tell "write 0 88 pattern=3" "write 88 8 pattern=4" "read 0 88 expect=3" "read 88 8 expect=4" info
    check "... the guest reads what it wrote" hear "read 88 8: status 0 data ok"
    hear "info:*" >/dev/null
    is "$(rings)" "$rings" "... by that engine"
    is "$(shown)" "$says" "... and it is shown"
    exits 0 "... nothing else was wrong" guest_close
    is "$(rings)" 0 "... and nothing of it is left"
    end_disk
done <<'TABLE'
,cache=none 0 aio, chosen by the worker
,engine=auto 0 aio, chosen by the worker
,engine=aio 0 aio, as asked for
,engine=io_uring 1 io_uring, as asked for
,engine=io_uring,cache=directsync 1 io_uring, as asked for
,engine=io_uring,cache=writeback 1 io_uring, as asked for; not used as the disk is
TABLE

# A node value no script of ours would write.
check "engine=uring: the disk is served" serve "$image" --set=engine=uring
refuses "... a guest is not let in" guest_io "read 0 8"
like "$(xenstore-read "$be/hotplug-error")" "*engine' is malformed: it is auto, aio or io_uring*" "... and hotplug-error says why"
check "... the disk detaches" detach xvda
check "... the worker ends" eventually eval "! kill -0 $worker 2>/dev/null"
ended "$worker"

# ---- io_uring is forbidden
check "a disk" offer "$image,engine=io_uring"
check "its worker may not use io_uring" forbidden
check "... and does not know yet" hotplug add
refuses "... a guest is not let in" guest_io "read 0 8"
is "$(xenstore-read "$be/hotplug-error")" "io_uring is forbidden here, by sysctl kernel.io_uring_disabled or a seccomp filter: allow it, or use engine=aio" \
    "... and hotplug-error says why"
check "... the disk detaches" detach xvda
check "... the worker ends" eventually eval "! kill -0 $worker 2>/dev/null"
ended "$worker"

check "a disk whose engine is the worker's choice" offer "$image"
check "... with such a worker" forbidden
check "... is served" hotplug add
check "... all the same" guest_io "write 0 8 pattern=5" "read 0 8 expect=5"
end_disk
done_testing
