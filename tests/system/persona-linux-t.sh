#!/bin/bash
# Linux: waits for 2, and for 4; kexec (5, 5, 6, and the new kernel goes on from wherever we are), a crash kernel (4, then
# 5, 6, 1), suspend and resume without a word, with all requests that were not answered made again, and hot attach.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

image=$(new_image disk 16M)
xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image"
check "hot attach: the worker is in InitWait" start_worker
persona_open linux
tell start
check "... the frontend Initialised" await "$fe/state" 3
check "... which the worker has seen" eventually worker_is_quiet
is "$(xenstore-read "$be/state")" 2 "... and stays in InitWait"
check "... until the script has reported" hotplug add
check "... then the guest has its disk" hear "start: done"
tell "write 0 3000 seed:1" sync "read 0 3000 seed:1"
check "it writes, makes it durable, reads" hear "read *: done"

# What the worker has not answered when the guest is suspended. It goes on while the guest is away, or when that has
# taken the Connected of long ago for its own.
for when in before after; do
    stop_worker
    [ "$when" = before ] && seed=2 || seed=3
    tell "queue 4096 2048 seed:$seed" suspend info
    like "$(hear "info: s*")" "* unanswered=24 *" "suspended with 24 requests under way"
    [ "$when" = after ] || kill -CONT "$worker"
    tell resume
    check "... it is resumed" hear "resume: done"
    [ "$when" = before ] || kill -CONT "$worker"
    tell wait "read 4096 2048 seed:$seed" info
    like "$(hear "info: s*")" "* unanswered=0 *" "... all are answered"
    check "... of the old pages the worker has none" let_go
done

# Saved and restored: the device is a new one, the requests are the old ones.
stop_worker
tell "queue 8192 2048 seed:4" suspend
check "suspended again" hear "suspend: done"
kill -CONT "$worker"
check "... the disk is removed" detach xvda --force
exits 0 "... the worker ends with 0" ended "$worker"
check "... another serves it" serve "$image"
tell resume wait "read 8192 2048 seed:4" "read 4096 2048 seed:3" "read 0 3000 seed:1"
check "... the guest is restored, with all it had" hear "read 0 3000 *: done"
launch detach xvda
detaching=$launched
tell leave
check "hot detach: it goes, with 6" hear "leave: done"
exits 0 "... the disk is detached" ended "$detaching"
exits 0 "... the worker ends with 0" ended "$worker"
exits 0 "nothing else was wrong" guest_close

check "the disk is served" serve "$image"
for round in 1 2; do
    check "kexec $round: the old kernel is let go" persona linux start "write 0 100 seed:$round" stop
    check "... the new one goes on at once" persona linux start "read 0 100 seed:$round" sync stop
done
exits 137 "a kernel that crashes" persona linux start "queue 0 2000 seed:9" die
check "... is followed by a crash kernel" persona linux start "read 4096 2048 seed:3" stop
# In a PV guest nobody waits for us: the crash kernel finds 4, and takes it for the answer to its own 3.
check "the next starts anew" soft_reset
exits 137 "... and crashes, too" persona linux start "write 0 2000 seed:5" die
stop_worker
xenstore-write "$fe/state" 1
persona_open linux
tell start "queue 2000 2000 seed:6"
check "the crash kernel has requests on a ring that the worker does not know" hear "queue *: done"
kill -CONT "$worker"
tell wait "read 2000 2000 seed:6" "read 0 2000 seed:5" stop
check "... they are served" hear "stop: done"
exits 0 "... nothing else was wrong" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
