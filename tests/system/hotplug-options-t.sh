#!/bin/bash
# Options behind the image's name: they reach the worker by nodes, a bad one is refused in one sentence, and a comma
# of the name itself is written twice. A name with a comma that is not never means another file than it says.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# No nodes but those of the options.
unset XENSIM_NODES

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

nodes='cache-mode features-off transfer on-error on-enospc timeout emulated poll poll-budget engine cpus'

# The nodes of the options; behind the third, up to the last one there is.
given() {
    local name all=()

    for name in $nodes; do
        all+=("$(node "$name" || echo -)")
    done
    while [ "${#all[@]}" -gt 3 ] && [ "${all[-1]}" = - ]; do
        unset 'all[-1]'
    done
    echo "${all[*]}"
}

# What there is of them.
left() {
    local name

    for name in $nodes hotplug-status; do
        node "$name"
    done
}

offer() {
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1"
}

image=$(new_image disk 1M)
for name in a,b a,,b ',c,' d,cache=none; do
    new_image "$name" 1M >&2
done

# params, the image, cache-mode, features-off, transfer ("-": there is no such node)
while read -r params path cache features transfer; do
    offer "${params//IMAGES/$images}"
    check "params '$params' is served" hotplug add
    is "$(node physical-device-path)" "${path//IMAGES/$images}" "... the image is right"
    is "$(given)" "$cache $features $transfer" "... and so are the options"
    check "add once more" hotplug add
    is "$(given)" "$cache $features $transfer" "... changes nothing"
    check "remove" hotplug remove
    is "$(left)" "" "... takes them back"
    withdraw
done <<'TABLE'
IMAGES/disk,cache=none IMAGES/disk none - -
IMAGES/disk,features-off=persistent IMAGES/disk - persistent -
IMAGES/disk,cache=none,features-off=flush-cache+barrier IMAGES/disk none flush-cache+barrier -
raw:IMAGES/disk,features-off=barrier,cache=none IMAGES/disk none barrier -
aio:IMAGES/disk,cache=none IMAGES/disk none - -
IMAGES/disk,timeout=86400,on-error=stop IMAGES/disk - - - stop - 86400
IMAGES/disk,on-enospc=stop,timeout=0 IMAGES/disk - - - - stop 0
IMAGES/disk,on-enospc=report,on-error=report,timeout=3600 IMAGES/disk - - - report report 3600
IMAGES/disk,emulated=read-only IMAGES/disk - - - - - - read-only
IMAGES/disk,emulated=close,timeout=1 IMAGES/disk - - - - - 1 close
IMAGES/disk,emulated=refuse,on-error=stop IMAGES/disk - - - stop - - refuse
IMAGES/disk,engine=io_uring IMAGES/disk - - - - - - - - - io_uring
IMAGES/disk,engine=aio,cache=none IMAGES/disk none - - - - - - - - aio
IMAGES/disk,engine=auto,poll=off IMAGES/disk - - - - - - - off - auto
IMAGES/disk,poll=off IMAGES/disk - - - - - - - off
IMAGES/disk,cpus=0-3+8 IMAGES/disk - - - - - - - - - - 0-3+8
IMAGES/disk,cpus=1 IMAGES/disk - - - - - - - - - - 1
IMAGES/disk,poll=auto,poll-budget=800 IMAGES/disk - - - - - - - auto 800
IMAGES/disk,poll-budget=1,poll=10000 IMAGES/disk - - - - - - - 10000 1
IMAGES/disk,poll-budget=25,timeout=2 IMAGES/disk - - - - - 2 - - 25
IMAGES/disk,cache=directsync IMAGES/disk directsync - -
IMAGES/disk,cache=writethrough IMAGES/disk writethrough - -
IMAGES/disk,features-off=barrier,cache=writeback IMAGES/disk writeback barrier -
IMAGES/disk,cache=unsafe IMAGES/disk unsafe - -
IMAGES/disk,cache=volatile IMAGES/disk volatile - -
IMAGES/,,c,, IMAGES/,c, - - -
IMAGES/,,c,,,cache=none IMAGES/,c, none - -
IMAGES/a,,,,b IMAGES/a,,b - - -
raw:IMAGES/d,,cache=none IMAGES/d,cache=none - - -
IMAGES/disk,transfer=map IMAGES/disk - - map
IMAGES/disk,transfer=copy,features-off=discard IMAGES/disk - discard copy
IMAGES/disk,transfer=auto,cache=none IMAGES/disk none - auto
TABLE

# A node that the toolstack wrote itself is not the script's.
offer "$image" --set=features-off=barrier
check "an option that the toolstack wrote as a node is served" hotplug add
is "$(node features-off)" barrier "... and is left"
check "remove" hotplug remove
is "$(node features-off)" barrier "... leaves it, too"
withdraw

while read -r params pattern; do
    offer "${params//IMAGES/$images}"
    exits 1 "params '$params' is refused" hotplug add
    is "$(node hotplug-status)" error "... hotplug-status says so"
    # shellcheck disable=SC2254 # a pattern is meant
    like "$(node hotplug-error)" "$pattern" "... hotplug-error says why"
    is "$(node hotplug-error | wc -l)" 1 "... in one line"
    is "$(node cache-mode)$(node features-off)$(node transfer)$(node physical-device-path)" "" "... and no node is left"
    is "$(find "$BLKBACK_RUNDIR" -name '*.pid' 2>/dev/null)" "" "... nor a worker"
    withdraw
done <<'TABLE'
IMAGES/disk,cash=none option 'cash=none' is not known: *cache=, features-off=, transfer=, engine=, cpus=, poll=, poll-budget=, on-error=, on-enospc=, timeout=, emulated=*comma of the name*twice*
IMAGES/disk,1.img option '1.img' is not known: *comma of the name*twice*
IMAGES/disk, option '' is not known: *
IMAGES/disk,cache=none, option '' is not known: *
IMAGES/disk,cache=none,,features-off=barrier option '' is not known: *
IMAGES/disk,cache option 'cache' has no value: *cache=none*
IMAGES/disk,cache= option 'cache' has no value: *cache=none*
IMAGES/disk,cache=None option 'cache=None' is not known: *cache=none*writeback*
IMAGES/disk,cache=safe option 'cache=safe' is not known: *cache=none*unsafe*
IMAGES/disk,cache=none,cache=none option 'cache' is given twice*
IMAGES/disk,features-off= option 'features-off' has no value: *persistent, flush-cache, barrier, multi-queue, indirect or discard*
IMAGES/disk,features-off=barrier,features-off=persistent option 'features-off' is given twice*
IMAGES/disk,features-off=flush *the feature 'flush': *persistent, flush-cache, barrier, multi-queue, indirect or discard*
IMAGES/disk,features-off=barrier+ *the feature '': *
IMAGES/disk,features-off=barrier:persistent *the feature 'barrier:persistent': *
IMAGES/disk,on-error=ignore option 'on-error=ignore' is not known: *on-error=report or stop*
IMAGES/disk,on-enospc= option 'on-enospc' has no value: *on-enospc=report or stop*
IMAGES/disk,emulated=ignore option 'emulated=ignore' is not known: *emulated=refuse, read-only or close*
IMAGES/disk,engine=uring option 'engine=uring' is not known: *engine=auto, aio or io_uring*
IMAGES/disk,engine= option 'engine' has no value: *engine=auto, aio or io_uring*
IMAGES/disk,engine=aio,engine=aio option 'engine' is given twice*
IMAGES/disk,cpus=all option 'cpus=all' is not known: *as in 0-3+8*
IMAGES/disk,cpus=1- option 'cpus=1-' is not known: *as in 0-3+8*
IMAGES/disk,cpus=1-2-3 option 'cpus=1-2-3' is not known: *as in 0-3+8*
IMAGES/disk,cpus=9-1 option 'cpus=9-1' is not known: *as in 0-3+8*
IMAGES/disk,cpus=0+1024 option 'cpus=0+1024' is not known: *as in 0-3+8*
IMAGES/disk,cpus=99999999999999999999 option 'cpus=99999999999999999999' is not known: *as in 0-3+8*
IMAGES/disk,cpus=1+ option 'cpus=1+' is not known: *as in 0-3+8*
IMAGES/disk,cpus=1++2 option 'cpus=1++2' is not known: *as in 0-3+8*
IMAGES/disk,cpus=-1 option 'cpus=-1' is not known: *as in 0-3+8*
IMAGES/disk,poll=on option 'poll=on' is not known: *poll=auto, off or a number of microseconds, 1 to 10000*
IMAGES/disk,poll=0 option 'poll=0' is not known: *1 to 10000*
IMAGES/disk,poll=10001 option 'poll=10001' is not known: *1 to 10000*
IMAGES/disk,poll=010 option 'poll=010' is not known: *1 to 10000*
IMAGES/disk,poll-budget=0 option 'poll-budget=0' is not known: *percent of a processor, 1 to 800*
IMAGES/disk,poll-budget=801 option 'poll-budget=801' is not known: *1 to 800*
IMAGES/disk,poll-budget=10% option 'poll-budget=10%' is not known: *1 to 800*
IMAGES/disk,timeout=never option 'timeout=never' is not known: *0 to 86400*
IMAGES/disk,timeout=86401 option 'timeout=86401' is not known: *0 to 86400*
IMAGES/disk,timeout=07 option 'timeout=07' is not known: *0 to 86400*
IMAGES/disk,timeout=1,timeout=1 option 'timeout' is given twice*
IMAGES/disk,transfer option 'transfer' has no value: *auto, map or copy*
IMAGES/disk,transfer=direct option 'transfer=direct' is not known: *auto, map or copy*
IMAGES/disk,transfer=map,transfer=copy option 'transfer' is given twice*
IMAGES/a,b there is a file '*/a,b'*'*/a,,b'*
IMAGES/a,,b there is a file '*/a,,b'*'*/a,,,,b'*
raw:IMAGES/d,cache=none there is a file '*/d,cache=none'*'*/d,,cache=none'*
/nowhere,cache=none '/nowhere'*No such file*
,cache=none '' is not an absolute path
TABLE

# Dangling, but a name all the same.
rm "$images/a,,b"
ln -s nowhere "$images/a,,b"
offer "$images/a,,b"
exits 1 "a symbolic link that leads nowhere is a name, too" hotplug add
like "$(node hotplug-error)" "there is a file *" "... and said to be there"
rm "$images/a,,b"
check "with that out of the way the other one is served" hotplug add
is "$(node physical-device-path)" "$images/a,b" "... under its own name"
withdraw
assert_clean
done_testing
