#!/bin/bash
# A hotplug script that is killed before its Nth command, adding or removing a disk: the toolstack cleans up, and the
# next attach of the same disk works.
#
# STEP_STRIDE (5): only each so-manieth; `make check-soak` goes through all.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

stride=${STEP_STRIDE:-5}
image=$(new_image disk 1M)
export STEPS=$work/steps
mkdir -p "$STEPS/bin"

# Every command of the script counts, and the Nth kills the script before it does its work, or nothing.
cat >"$STEPS/step" <<'STEP'
#!/bin/sh
read -r n <"$STEPS/n"
read -r at <"$STEPS/at"
read -r script <"$STEPS/script"
n=$((n + 1))
echo "$n" >"$STEPS/n"
if [ "$n" = "$at" ]; then
    kill -KILL "$script"
    exit 1
fi
PATH=${PATH#"$STEPS/bin:"}
exec "${0##*/}" "$@"
STEP
chmod +x "$STEPS/step"
for name in xenstore-exists xenstore-read xenstore-write xenstore-rm xenstore-list xenstore-watch flock stat timeout \
    mkdir rm grep sed tr cat readlink blkback-vbd; do
    ln "$STEPS/step" "$STEPS/bin/$name"
done
# Of that name: it knows its like by it.
cat >"$work/block-blkback" <<MORTAL
#!/bin/sh
if [ "\$1" = "\$(cat "\$STEPS/verb")" ]; then
    echo 0 >"\$STEPS/n"
    echo \$\$ >"\$STEPS/script"
    PATH=\$STEPS/bin:\$PATH
fi
exec $script "\$@"
MORTAL
chmod +x "$work/block-blkback"

toolstack() {
    XENSIM_STATE_SECONDS=5 xensim "$1" "${@:2}" 2>&1
}

again() {
    attach xvda "$image" && guest_io "write 0 8 pattern=3" flush "read 0 8 expect=3" && detach xvda
}

no_worker() {
    [ ! -e "$BLKBACK_RUNDIR/vbd-5-51712.pid" ] || flock -n "$BLKBACK_RUNDIR/vbd-5-51712.pid" true
}

# Sets reached to whether the script was killed.
add_and_remove() {
    reached=no
    echo "$2" >"$STEPS/at"
    echo "$1" >"$STEPS/verb"
    echo 0 >"$STEPS/n"
    toolstack vbd-attach --script="$work/block-blkback" "$domid" xvda "$image" >&2 && toolstack vbd-detach "$domid" xvda >&2
    [ "$(cat "$STEPS/n")" -lt "$2" ] || reached=yes
    ! xenstore-exists "$be" || withdraw >&2
    return 0
}

for verb in add remove; do
    deaths=0
    for ((n = 1; n < 500; n += stride)); do
        add_and_remove "$verb" "$n"
        [ "$reached" = yes ] || break
        deaths=$((deaths + 1))
        check "$verb, killed at $n: no worker is left" eventually no_worker
        check "$verb, killed at $n: the next attach works" again
    done
    is "$reached" no "$verb: at last it lives to its end, at step $n"
    [ "$deaths" -ge 2 ]
    ok $? "$verb: it died $deaths times"
done
assert_clean killed
done_testing
