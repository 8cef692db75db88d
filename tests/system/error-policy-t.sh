#!/bin/bash
# What becomes of requests that the storage cannot do: answered with an error (report), or kept with all that come after them until
# an operator says go on (stop), separately for a lack of room. A storage that does not answer is told of.
# shellcheck source=tests/lib/recordfs.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/recordfs.sh"

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

has_node() {
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $(node "$1") == $2 ]]
}

undo() {
    stop_recordfs
}

start_recordfs $((4 << 20)) || skip_all "no FUSE"
# shellcheck disable=SC2034 # by their names in the table
eio=5 enospc=28

# policies, the operation, the errno; what becomes of it: reported, or stopped and done in the end
while read -r on_error on_enospc op errno outcome; do
    what="on-error=$on_error on-enospc=$on_enospc, $op fails with $errno"
    check "$what: the disk is served" serve "$fs_image,on-error=$on_error,on-enospc=$on_enospc"
    guest_open
    tell "write 0 8 pattern=1" "write 64 8 pattern=2" flush
    check "... and works" hear "flush: status 0"
    fs fail "$op" "${!errno}" 1
    case $op in
        read) request="read 0 8" expect=" expect=1" ok=" data ok" ;;
        write) request="write 128 8" expect=" pattern=3" ok='' ;;
    esac
    if [ "$outcome" = reported ]; then
        tell "$request status=-1" "read 64 8 expect=2"
        check "... the guest gets an error" hear "$request: status -1"
        check "... and goes on" hear "read 64 8: status 0 data ok"
        is "$(node stopped)" "" "... nobody is called"
    else
        # Behind it: what was in flight is answered, what comes later waits.
        tell "$request$expect" "read 64 8 expect=2" "write 192 8 pattern=4" "barrier 200 8 pattern=5" flush
        check "... the disk is stopped" eventually has_node stopped "*until blkbackctl resume"
        like "$(blkbackctl list)" "*Stopped*" "... blkbackctl says so"
        like "$(blkbackctl show 5/xvda)" "*STOPPED*" "... in more words, too"
        check "... and the log" await_line "$log" "error: stopped: the storage could not do"
        refuses "... its cache mode is left alone" blkbackctl set-cache 5/xvda directsync
        fs fail "$op" "${!errno}" 1
        check "... it goes on" blkbackctl resume 5/xvda
        check "... and fails again" eventually has_node stopped "*until blkbackctl resume"
        check "... it goes on" blkbackctl resume 5/xvda
        check "... the request is done" hear "$request: status 0$ok"
        check "... those behind it, too" hear "flush: status 0"
        is "$(node stopped)" "" "... nobody is called any more"
        refuses "... there is nothing to go on with" blkbackctl resume 5/xvda
    fi
    exits 0 "... nothing else was wrong" guest_close
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    rm "$log"
done <<'TABLE'
report report read eio reported
report report write eio reported
report report write enospc reported
stop report read eio stopped
stop report write eio stopped
stop report write enospc reported
report stop write enospc stopped
report stop write eio reported
stop stop write enospc stopped
TABLE

# By whichever ring it came, all of them stand still.
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$fs_image,on-error=stop" &&
    start_worker --max-queues=2 && hotplug add
ok $? "a disk with two queues is served"
guest_open --queues=2
fs fail write $eio 1
tell "queue 0" "async write 0 8 pattern=1"
check "... a write of the first stops it" eventually has_node stopped "*until blkbackctl resume"
tell "queue 1" "async write 64 8 pattern=2" "async read 128 8" stats
check "... the other goes on asking" hear "stats: requests=3 *"
check "... and the worker takes its time" eventually worker_is_quiet
tell stats
check "... but does nothing" hear "stats: requests=3 responses=0 *"
check "... it goes on" blkbackctl resume 5/xvda
tell "wait" stats
check "... and all are done" hear "stats: requests=3 responses=3 *"
exits 0 "... well" guest_close
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# Kept requests are no reason not to stop: they are tried once more, and answered.
check "a disk that is stopped" serve "$fs_image,on-error=stop"
guest_open
fs fail write $eio 2
tell "write 0 8 pattern=1 status=-1"
check "... is stopped" eventually has_node stopped "*until blkbackctl resume"
check "... and shut down" kill -TERM "$worker"
check "... answers what it kept" hear "write 0 8: status -1"
exits 0 "... and ends with 0" ended "$worker"
guest_kill
withdraw
rm "$log"

# The toolstack takes it away: the guest gets its answers, and can leave.
check "another one" serve "$fs_image,on-error=stop"
guest_open
fs fail write $eio 2
tell "write 0 8 pattern=1 status=-1"
check "... is stopped" eventually has_node stopped "*until blkbackctl resume"
check "... and taken away" xenstore-write "$be/online" 0 "$be/state" 5
check "... answers what it kept" hear "write 0 8: status -1"
exits 0 "... its guest leaves" guest_close
exits 0 "... and the worker ends with 0" ended "$worker"
withdraw
rm "$log"

# A limit of the worker's own is no reason to die.
check "a disk beyond what its worker may write" serve "$(new_image large 4M),on-error=report"
check "... which is less" prlimit --fsize=1048576: --pid "$worker"
check "... a write there fails" guest_io "write 4000 8 pattern=1 status=-1" "write 0 8 pattern=2" "read 0 8 expect=2"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# On a write-through disk a write that failed has put others in doubt: nothing to be done again (D5).
check "a write-through disk is served" serve "$fs_image,on-error=stop,cache=directsync"
guest_open
fs fail write $eio 1
tell "write 0 8 pattern=1 status=-1" "write 8 8 pattern=1 status=-1"
check "... a write that fails is an error" hear "write 0 8: status -1"
check "... and latches the disk" hear "write 8 8: status -1"
exits 0 "... nothing else was wrong" guest_close
check "... the loss is accepted" blkbackctl clear-fault 5/xvda --accept-loss
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# A driver that was told that a flush failed may send no more of them: to accept the loss is to do without a write cache, until the
# next one comes.
check "a disk with a write cache is served" serve "$fs_image"
guest_open
fs fail sync $eio 1
tell "write 0 8 pattern=1" "flush status=-5" "write 0 8 pattern=2 status=-1"
check "... a flush that fails latches it" hear "write 0 8: status -1"
check "... which the store says" await "$be/data-lost" 1
refuses "... nothing is changed" blkbackctl set-cache 5/xvda directsync
check "... the loss is accepted" blkbackctl clear-fault 5/xvda --accept-loss
is "$(node cache-mode-active) $(node write-cache) $(node data-lost)" "directsync 0 " "... it writes through from now on"
tell "write 0 8 pattern=3" "read 0 8 expect=3" flush
check "... and works" hear "flush: status 0"
refuses "... the operator cannot give it a write cache" blkbackctl set-cache 5/xvda writeback
check "... nor can the guest" as_guest xenstore-write "$fe/write-cache-request" 1
check "... who hears why" eventually has_node write-cache-error "*a flush failed*"
is "$(node cache-mode-active) $(node write-cache)" "directsync 0" "... all stays as it is"
exits 0 "... nothing else was wrong" guest_close
guest_open
tell info
like "$(hear "info:*")" "* flush=1 barrier=1 *" "... the next driver may flush"
is "$(node cache-mode-active) $(node write-cache)" "none 1" "... and has a write cache"
exits 0 "... it leaves" guest_close
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"

# A storage that does not answer, and then does.
check "a disk with a timeout" serve "$fs_image,timeout=1"
guest_open
fs hold write
tell "write 0 8 pattern=1"
check "... is told of in the log" await_line "$log" "warning: the storage does not answer: 1 I/Os wait, for up to [1-9]"
like "$(blkbackctl set-cache 5/xvda writeback 2>&1)" "blkbackctl: *within 10 seconds: the cache mode stays as it was" \
    "... its cache mode cannot be changed"
fs pass write
check "... the write is done" hear "write 0 8: status 0"
check "... which the log says, too" await_line "$log" "warning: the storage answers again"
fs hold sync
like "$(blkbackctl set-cache 5/xvda writeback 2>&1)" "blkbackctl: *within 10 seconds*" "... an fdatasync for a change that hangs"
tell "read 0 8 expect=1"
check "... leaves the disk alone" hear "read 0 8: status 0 data ok"
tell "flush status=-5"
fs fail sync $eio 1
fs pass sync
check "... the next flush waits for it, and hears what became of it" hear "flush: status -5"
check "... so do the others" await "$be/data-lost" 1
guest_close
refuses "... to accept it needs words" blkbackctl clear-fault 5/xvda
check "... it is accepted" blkbackctl clear-fault 5/xvda --accept-loss
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
check "the storage ends" stop_recordfs
assert_clean
done_testing
