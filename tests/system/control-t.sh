#!/bin/bash
# What blkbackctl shows of a served disk is what the guest did; it changes what the worker logs; and it
# says what is wrong, with the exit code for it.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

socket=$BLKBACK_RUNDIR/vbd-5-51712.sock

# value NAME: the first number, word or null that blkbackctl show --json has under that name
value() {
    blkbackctl show 5/xvda --json | grep -o "\"$1\":\(\"[^\"]*\"\|[a-z0-9]*\)" | sed -n '1s/.*:"\?\([^"]*\)"\?/\1/p'
}

# is_json: standard input is one line of it
is_json() {
    local text

    text=$(cat)
    [ "$(printf '%s\n' "$text" | wc -l)" = 1 ] || return 1
    if command -v python3; then printf '%s' "$text" | env -u LD_PRELOAD python3 -m json.tool; fi
}

# ---- nobody there ---------------------------------------------------------------------------

is "$(blkbackctl list | wc -l)" 1 "no run directory: an empty list"
is "$(blkbackctl list --json)" '{"disks":[],"problems":[]}' "... in JSON, too"
exits 3 "a disk that is not served" blkbackctl show 5/xvda

# ---- a disk ---------------------------------------------------------------------------------

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
is "$(stat -c '%F %a' "$socket")" "socket 600" "its socket is root's"
is "$(value state) $(value frontend_state) $(value storage) $(value features)" "InitWait Initialising null null" \
    "before the guest comes"
guest_open
for i in 1 2 3; do tell "write $((i * 16)) 16 pattern=1"; done
for i in 1 2 3 4 5; do tell "read $((i * 8)) 8"; done
tell flush "barrier 0 8" "write 40000 8 status=-1" stats
check "the guest works" hear "stats: *"
is "$(value state) $(value frontend_state) $(value fault)" "Connected Connected null" "then"
is "$(value reads) $(value writes) $(value flushes) $(value barriers)" "5 3 1 1" "requests are counted"
is "$(value read_sectors) $(value write_sectors)" "40 56" "so are sectors"
is "$(value reads_taken) $(value reads_answered) $(value writes_taken) $(value writes_answered)" "5 5 4 4" \
    "all were answered"
is "$(value refused_beyond_end) $(value failed)" "1 0" "a bad request"
[ "$(value reads_max_ns)" -gt 0 ] && [ "$(value reads_max_ns)" -le "$(value reads_ns)" ]
ok $? "reads took some time, the longest no more than all"
is "$(value path) $(value type) $(value sectors) $(value read_only)" "$image file 32768 false" "the image"
is "$(value protocol) $(value persistent)" "x86_64-abi true" "what was agreed on"
is "$(value pid) $(xenstore-read "$be/kthread-pid")" "$worker $worker" "the worker"
for name in vbd-5-51712 5/51712 backend/vbd/5/51712 /local/domain/0/backend/vbd/5/51712; do
    like "$(blkbackctl show "$name")" "vbd-5-51712: xvda of domain 5*$image*reads *5*" "show $name"
done
like "$(blkbackctl list)" "DISK*vbd-5-51712  xvda  Connected  w  *16.0 MiB  *20.0 KiB  *28.0 KiB  $image" "list"
blkbackctl list --json | is_json >&2
ok $? "list --json is JSON"
blkbackctl show 5/xvda --json | is_json >&2
ok $? "show --json is JSON"

check "the guest leaves" guest_close
is "$(value reads) $(value queues) $(value storage)" "5  null" "what earlier connections did still counts"
check "the guest comes back" guest_io "read 0 8"
is "$(value reads) $(value grants_mapped)" "6 $(value grants_unmapped)" "it adds up, and all was unmapped"

# ---- the log --------------------------------------------------------------------------------

is "$(value log_level)" info "the log level at first"
check "debug" blkbackctl log-level 5/xvda debug
is "$(value log_level)" debug "it is what was asked for"
like "$(cat "$log")" "*log level 'debug'*" "the log says who did it"
check "error" blkbackctl log-level vbd-5-51712 error
lines=$(wc -l <"$log")
check "a guest comes and goes" guest_io "read 0 8"
is "$(wc -l <"$log")" "$lines" "nothing is logged of it"

# ---- what goes wrong ------------------------------------------------------------------------

exits 1 "no such level" blkbackctl log-level 5/xvda loud
exits 3 "another disk" blkbackctl show 5/xvdb
exits 3 "another kind" blkbackctl show backend/vbd3/5/51712
for words in "" "nonsense" "list more" "show" "show 5/51712 more" "show 5" "show ../5/51712" "log-level 5/xvda" \
    "--nonsense list" "-t 0 list" "-t 1x list" "-t 99999 list"; do
    # shellcheck disable=SC2086 # words are meant
    exits 2 "'$words' is no way to call it" blkbackctl $words
done
is "$(blkbackctl --nonsense list 2>&1)" \
    "blkbackctl: not an option, or not with that argument: --nonsense; see blkbackctl --help" "it says why, in one line"
exits 1 "an output that is full" sh -c 'blkbackctl list >/dev/full'

if setpriv --reuid=65534 blkbackctl --version >&2; then
    exits 5 "somebody else than root" setpriv --reuid=65534 blkbackctl list
    chmod 755 "$work" "$BLKBACK_RUNDIR"
    exits 5 "... who can see the socket" setpriv --reuid=65534 blkbackctl show 5/xvda
    chmod 700 "$work"
else
    skip "somebody else than root" "not root, or no setpriv"
fi

check "a second disk" attach xvdb "$(new_image other 1M)"
check "its worker is stopped" stop_worker
exits 4 "a worker that does not answer" blkbackctl -t 1 show 5/xvda
blkbackctl -t 1 list >"$work/list" 2>"$work/complaint"
is $? 4 "the list says so, too"
like "$(cat "$work/list")" "*vbd-5-51728  xvdb*" "... and has the other disk"
like "$(cat "$work/complaint")" "*vbd-5-51712*not answered*" "... and names the silent one"
kill -KILL "$worker"
kill -CONT "$worker"
ended "$worker"
exits 4 "a worker that was killed" blkbackctl show 5/xvda
like "$(blkbackctl list --json 2>/dev/null)" '*"disk":"vbd-5-51728"*"problems":?{"disk":"vbd-5-51712","problem":"dead"*' \
    "... in JSON"
check "its disk is detached" detach xvda --force
check "... and attached again" attach xvda "$image"
exits 0 "the socket is the new worker's" blkbackctl show 5/xvda
check "both detach" eval "detach xvda && detach xvdb"
is "$(ls "$BLKBACK_RUNDIR")" grants "no socket is left"
is "$(blkbackctl list | wc -l)" 1 "the list is empty again"
assert_clean killed
done_testing
