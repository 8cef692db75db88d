#!/bin/bash
# The record that xentop reads: where it looks, with what the guest did, over all connections; and gone
# when the worker is. A directory that somebody else put there is not used.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# As libxenstat finds it.
record_path() {
    echo "$BLKBACK_STATSDIR/td3-$(xenstore-read "$be/kthread-pid")/vbd-5-51712"
}

# words FIRST COUNT: of the record, 8 bytes each
words() {
    od -A n -t u8 -j $(($1 * 8)) -N $(($2 * 8)) -w4096 -v "$(record_path)" | xargs
}

image=$(new_image disk 16M)
check "attached" attach xvda "$image"
is "$(stat -c '%s %a' "$(record_path)")" "4096 644" "there is a record, for everybody to read"
is "$(words 0 12)" "1 0 0 0 0 0 0 0 0 0 0 0" "version 1, and nothing has been done"
check "a guest works" guest_io "write 0 88 pattern=1" "write 88 8" "read 0 8" "read 0 16" "read 0 24" flush \
    "read 32768 8 status=-1"
is "$(words 2 3) $(words 6 3)" "3 3 48 2 2 96" "requests taken, answered, and sectors, of reads and writes"
[ "$(words 5 1)" -gt 0 ] && [ "$(words 9 1)" -gt 0 ]
ok $? "they took some microseconds"
is "$(words 10 2)" "0 0" "no error"
check "another connection" guest_io "read 0 8"
is "$(words 2 3)" "4 4 56" "adds up"
path=$(record_path)
check "detached" detach xvda
is "$(ls "$BLKBACK_STATSDIR")" "" "nothing is left of it"

# In the place where it is on a host.
unset_dir=$BLKBACK_STATSDIR
unset BLKBACK_STATSDIR
check "attached" attach xvda "$image"
path=/dev/shm/td3-$(xenstore-read "$be/kthread-pid")
is "$(ls "$path")" vbd-5-51712 "/dev/shm has it"
check "detached" detach xvda
refuses "and has not" test -e "$path"
export BLKBACK_STATSDIR=$unset_dir

# A killed worker's is removed by the next one.
check "attached" attach xvda "$image"
path=$(record_path)
kill -KILL "$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")"
check "the worker has gone" flock -w "$deadline" "$BLKBACK_RUNDIR/vbd-5-51712.pid" true
check "its record is still there" test -e "$path"
xenstore-write "$be/state" 1 "$fe/state" 1
check "another worker" blkback-vbd "$be"
refuses "has removed it" test -e "${path%/*}"
is "$(words 0 1)" 1 "and made its own"
check "detached" detach xvda

# meet MODE: a worker finds its directory made, with a link where the record goes
meet() {
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image" || return
    lifeline
    # shellcheck disable=SC2016 # its own process id is meant
    sh -c 'd=$BLKBACK_STATSDIR/td3-$$; mkdir "$d" && chmod "$1" "$d" && ln -s "$work/victim" "$d/vbd-5-51712" &&
        exec blkback-vbd -f "$2" 2>>"$3"' sh "$1" "$be" "$log" &
    worker=$!
    held_by "$worker"
    await "$be/state" 2 && hotplug add
}

echo precious >"$work/victim"
check "a directory anybody may write" meet 777
like "$(cat "$log")" "*warning: no statistics for xentop*" "it is not used, and that is told"
check "the disk works all the same" guest_io "write 0 8 pattern=2" "read 0 8 expect=2"
is "$(readlink "$BLKBACK_STATSDIR/td3-$worker/vbd-5-51712")" "$work/victim" "what is there stays"
check "detached" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
rm -r "$BLKBACK_STATSDIR/td3-$worker"

check "a directory left by a dead process of ours" meet 755
is "$(words 0 2)" "1 0" "it is used, the link is replaced"
check "detached" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
is "$(cat "$work/victim")" precious "the link was not followed"

# The kind that libxenstat looks for.
be=/local/domain/0/backend/vbd3/$domid/51712
check "a disk of kind vbd3" attach xvda "$image" --kind=vbd3
check "works" guest_io "read 0 8"
is "$(words 0 5)" "1 0 1 1 8" "its record is where libxenstat looks for it"
check "detached" detach xvda
be=/local/domain/0/backend/vbd/$domid/51712

BLKBACK_STATSDIR=$work/none check "no such directory" attach xvda "$image"
check "the disk works all the same" guest_io "read 0 8"
check "detached" detach xvda
assert_clean
done_testing
