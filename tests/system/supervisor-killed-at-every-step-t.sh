#!/bin/bash
# A supervisor that is killed at its Nth operation on xenstore, or before a fork: the next one finds what there is, and
# neither toolstack nor guests notice: disks are attached, used and detached meanwhile.
#
# STEP_STRIDE (13): only each so-manieth; `make check-soak` goes through all.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

stride=${STEP_STRIDE:-13}
image=$(new_image disk 1M)

# Tells when it has ended.
mortal_supervisor() {
    MORTAL_PROGRAM=blkbackd MORTAL_AT=$1 LD_PRELOAD=$BLKBACK_BUILD/lib/libmortal.so:$LD_PRELOAD \
        blkbackd -f -c "$config" 2>>"$suplog" &
    echo $! >"$work/mortal.pid"
    wait $!
    echo died >&"$ends"
}

life() {
    plug xvda "$image" && guest_io "write 0 8 pattern=$1" "read 0 8 expect=$1" && detach xvda &&
        plug xvda "$image" && guest_io "read 0 8 expect=$1" && detach xvda
}

# live_with N: a life with a supervisor that dies in it; sets died
live_with() {
    local living mortal status

    died=no
    mortal_supervisor "$1" 2>/dev/null &
    mortal=$!
    { life "$(($1 % 251))" >"$work/life" 2>&1; echo "lived $?" >&"$ends"; } &
    living=$!
    read -r -t "$deadline" -u "$ends" status
    if [ "$status" = died ]; then
        died=yes
        wait "$mortal" 2>/dev/null
        supervise || return 1
        read -r -t $((deadline * 3)) -u "$ends" status
        unsupervise >&2
    else
        kill -TERM "$(cat "$work/mortal.pid")" 2>/dev/null
        read -r -t "$deadline" -u "$ends" _
        wait "$mortal"
    fi
    wait "$living"
    [ "$status" = "lived 0" ] || { cat "$work/life" >&2; return 1; }
}

mkfifo "$work/ends" && exec {ends}<>"$work/ends" || exit 1
died=yes
deaths=0
for ((n = 1; n < 2000; n += stride)); do
    live_with "$n"
    ok $? "killed at $n: nobody notices"
    [ "$died" = yes ] || break
    deaths=$((deaths + 1))
done
is "$died" no "at last it lives to its end, at step $n"
[ "$deaths" -ge $((50 / stride)) ]
ok $? "it died $deaths times"
# What the last one may have left, the next one takes over.
check "a supervisor starts" supervise
exits 0 "... and ends with 0" unsupervise
assert_clean killed
done_testing
