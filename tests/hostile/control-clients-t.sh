#!/bin/bash
# Clients of the control socket that send garbage or too much, never read, or hold connections: each loses
# its connection at most. The worker answers others and serves its guest meanwhile.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

socket=$BLKBACK_RUNDIR/vbd-5-51712.sock

# answers BYTES...: as printf has them, to the socket; prints what comes back
# shellcheck disable=SC2059 # a format is meant
answers() {
    printf "$@" | timeout --foreground "$deadline" control-client "$socket" send
}

works() {
    tell "write 0 8 pattern=$1" "read 0 8 expect=$1"
    hear "read 0 8: status 0 data ok" >/dev/null && blkbackctl show 5/xvda >/dev/null
}

check "the disk is served" serve "$(new_image disk 16M)"
guest_open
check "the guest works" works 1

for bytes in '\n' ' \n' 'shows\n' 'show \n' ' show\n' 'show now\n' 'show\r\n' 'sho\0w\n' 'show\0\n' '\0\n' \
    'log-level\n' 'log-level debug info\n' 'a b c d e\n' '\xff\xfe\n' '%%s%%n\n' '{"show":1}\n'; do
    like "$(answers "$bytes")" '{"error":"*"}' "'$bytes' is an error"
done
is "$(answers 'show')" "" "half a line is no question"
is "$(answers '')" "" "neither is nothing"
is "$(answers 'help\nshow\nnonsense\nhelp\n' | cut -c 1-7 | tr '\n' ' ')" '{"reque {"disk" {"error {"reque ' \
    "several lines, several answers, in order"
like "$(answers '%255s\n' '')" '{"error":"not a request*' "a line as long as may be"
like "$(answers '%256s\n' '')" '{"error":"too long*' "one more byte"
is "$(head -c 100000 /dev/zero | tr '\0' x | control-client "$socket" send | wc -l)" 1 "100 kB without a newline: one answer"
head -c 300000 /dev/urandom | control-client "$socket" send >/dev/null 2>&1
check "random bytes: the worker works" works 2

check "a client that never reads is dropped" timeout --foreground "$deadline" control-client "$socket" flood
check "the worker works" works 3

# Twice as many as there is room for; the ones that came first make room.
coproc holder { control-client "$socket" hold 16; }
# shellcheck disable=SC2154 # coproc sets it
read -r -t "$deadline" -u "${holder[0]}" line
is "$line" held "16 silent clients"
check "the worker works" works 4
answers 'show\n' >"$work/one" &
answers 'show\n' >"$work/two" &
wait %?one %?two
is "$(cat "$work/one" "$work/two" | grep -c '"disk":"vbd-5-51712"')" 2 "two clients at once are both answered"
# shellcheck disable=SC2154
exec {end}<&"${holder[0]}" {fd}>&"${holder[1]}"
eval "exec ${holder[1]}>&-"
exec {fd}>&-
read -r -t "$deadline" -u "$end" line
exec {end}<&-
like "$line" "left [0-8]" "no more than 8 are kept"

check "the guest leaves" guest_close
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
