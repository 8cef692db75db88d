#!/bin/bash
# A worker that is killed at its Nth operation on xenstore, grants, event channels or storage, from its start to its end:
# what was flushed is there, nothing stays mapped, and the next attach of the same disk works. A ring it has
# served is not taken over: its guest starts anew.
#
# STEP_STRIDE (41): only each so-manieth; `make check-soak` goes through all.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

stride=${STEP_STRIDE:-41}
image=$(new_image disk 1M)

# tells NAME COMMAND...: how it ended
mkfifo "$work/ends" && exec {ends}<>"$work/ends" || exit 1
tells() {
    "${@:2}"
    echo "$1 $?" >&"$ends"
}

mortal_worker() {
    MORTAL_PROGRAM=blkback-vbd MORTAL_AT=$1 LD_PRELOAD=$BLKBACK_BUILD/lib/libmortal.so:$LD_PRELOAD \
        blkback-vbd -f "$be" 2>>"$log"
}

# What a toolstack and a guest do, one after the other. Ends with 0 if nobody died; is killed when the worker has.
life() {
    await "$be/state" 2 && hotplug add || return
    guest_io "write 0 8 pattern=1" flush "write 16 200 pattern=2" "discard 1024 8" "read 0 8 expect=1" barrier \
        reopen "read 16 200 expect=2" || return
    xensim vbd-detach "$domid" xvda
}

# die_at N: sets status to how the worker ended
die_at() {
    local who living

    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image" || return 1
    # Without lifelines: a worker that the script has started would hold one.
    tells worker mortal_worker "$1" 2>/dev/null &
    worker=$!
    # A process group, which can be ended as one.
    set -m
    tells life life >"$work/life" 2>&1 &
    living=$!
    set +m
    read -r -t "$deadline" -u "$ends" who status || return 1
    if [ "$who" = life ]; then
        # Lived to the end: the worker has seen that, or is about to.
        read -r -t "$deadline" -u "$ends" who status || return 1
    elif [ "$status" = 0 ]; then
        read -r -t "$deadline" -u "$ends" who _ || return 1
    else
        kill -KILL -- "-$living"
    fi
    wait "$worker" "$living" 2>/dev/null
    return 0
}

again() {
    attach xvda "$image" && guest_io "write 0 8 pattern=3" flush "read 0 8 expect=3" && detach xvda
}

first_lives() {
    [ ! -e "$BLKBACK_RUNDIR/vbd-5-51712.pid" ] || flock -n "$BLKBACK_RUNDIR/vbd-5-51712.pid" true
}

status=137
deaths=0
check "the image is written" again
for ((n = 1; n < 5000; n += stride)); do
    die_at "$n" >&2 || say "life $n: $(cat "$work/life")"
    [ "$status" = 137 ] || break
    deaths=$((deaths + 1))
    is "$(xensim counters | grep '^handle .*: domain 0, pid [0-9]*, .* [1-9][0-9]* mapped')" "" "killed at $n: nothing is mapped for dom0"
    # The script may have started another worker meanwhile. The guest is gone, and the toolstack gives up.
    withdraw >&2 2>&1
    check "killed at $n: no worker is left" eventually first_lives
    like "$(qemu-io -r -f raw -c "read -v 0 1" "$image")" "*00000000:  0[13] *" "killed at $n: what was flushed is there"
    check "killed at $n: the next attach works" again
done
exits 0 "at last it lives to its end, at step $n" test "$status" = 0
[ "$deaths" -ge $((100 / stride)) ]
ok $? "it died $deaths times"
assert_clean killed
done_testing
