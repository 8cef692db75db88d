# shellcheck shell=bash disable=SC2119 # functions have options
# Crash tests in shell, on top of guest.sh: a disk that loses power anywhere (voldisk), a guest that writes down what it was
# promised (crash-guest), and crash-check, which holds both against each other.
#
#   crash_begin none barrier+flush 4 plain  mode, what the guest uses, its queues, the workload
#   crash_load 1000                         a load of so many requests
#   crash_end && crash_judge                every cut point is good
#
# CRASH_SEED=N repeats a run, as far as time allows: what the disk ends in which order, and what the guest asks for.

# shellcheck source=tests/lib/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/../lib/guest.sh"

[ -w /dev/fuse ] || skip_all "/dev/fuse cannot be opened: the storage of this test is a FUSE file system"

# shellcheck disable=SC2034 # for the tests
seed=${CRASH_SEED:-$((SRANDOM))}
RANDOM=$((seed % 32768))
deadline=120
printf '# CRASH_SEED=%s repeats this run\n' "$seed" | tee /dev/stderr

# Modes there may be; what the hotplug script does not serve is left out. o-dsync is mode none without flush and barrier,
# which has to be a disk that writes through.
# shellcheck disable=SC2034
all_modes='none o-dsync directsync writethrough writeback unsafe'
disk_bytes=$((1024 * 1024))
disk_mount=$images/voldisk
clock=$work/clock
judged=$work/judged
# Of all_modes, for load_modes
served_modes=none
loop_device=
crash_target=
nr_cuts=0

# ---- the disk --------------------------------------------------------------------------------

# start_disk [OPTION...]
start_disk() {
    rm -rf "$clock" "$work/journal" "$work/promises"
    mkdir "$disk_mount" && mkfifo "$work/orders" "$work/answers" || return 1
    exec {orders}<>"$work/orders" {answers}<>"$work/answers"
    lifeline
    LD_PRELOAD='' voldisk "$disk_mount" "$disk_bytes" "$work/journal" "$clock" --seed="$seed" "$@" \
        0<"$work/orders" >"$work/answers" {orders}>&- {answers}<&- &
    voldisk=$!
    held_by "$voldisk"
    [ "$(disk_says)" = ready ]
}

disk_says() {
    local line

    read -r -t "$deadline" -u "$answers" line && echo "$line"
}

# disk COMMAND...: see voldisk.c
disk() {
    echo "$*" >&"$orders"
    [ "$(disk_says)" = ok ]
}

stop_disk() {
    local status

    [ -n "${orders:-}" ] || return 0
    exec {orders}>&- {answers}<&-
    orders=
    ended "$voldisk"
    status=$?
    rm -f "$work/orders" "$work/answers"
    rmdir "$disk_mount" && return "$status"
}

undo() {
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
    [ -z "${orders:-}" ] || exec {orders}>&-
    umount -l "$disk_mount" 2>/dev/null
}

# ---- attaching -------------------------------------------------------------------------------

# crash_options MODE USES: what stands behind the image's name
crash_options() {
    local off=

    case $2 in *flush*) ;; *) off=flush-cache ;; esac
    case $2 in *barrier*) ;; *) off=${off:+$off+}barrier ;; esac
    case $1 in
        o-dsync) echo ',features-off=flush-cache+barrier' ;;
        directsync | writethrough) echo ",cache=$1" ;;
        *) echo ",cache=$1${off:+,features-off=$off}" ;;
    esac
}

# contract MODE: by its name in the logs
contract() {
    case $1 in
        o-dsync) echo directsync ;;
        *) echo "$1" ;;
    esac
}

# crash_serve OPTIONS: the disk, to a worker that is our child
crash_serve() {
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "${crash_target:-$disk_mount/image}$1" &&
        start_worker --max-queues=4 && hotplug add
}

# Whether the hotplug script knows the mode: asked once, of an image that nobody needs.
mode_is_served() {
    local image=$images/probe status

    [ "$1" != none ] && [ "$1" != o-dsync ] || return 0
    truncate -s 1M "$image"
    # What it says is what the reason of the skip is.
    attach xvda "$image,cache=$1" >"$work/refused" 2>&1
    status=$?
    [ "$status" -ne 0 ] || detach xvda >&2
    # Refused: the toolstack has taken it away again, or we have to.
    ! xenstore-exists "$be" 2>/dev/null || withdraw >&2
    rm "$image"
    return "$status"
}

# Why the last one was not, in one line
refusal() {
    sed -n 's/^block-blkback: [^ ]* //p' "$work/refused" | head -n 1
}

# ---- a loop device on top of it --------------------------------------------------------------

# Says why there can be none; nothing if there can.
loop_is_missing() {
    local device

    [ "$(id -u)" = 0 ] || { echo "only root can set up a loop device" && return; }
    truncate -s 1M "$images/loop"
    if device=$(losetup --find --show "$images/loop" 2>/dev/null); then
        losetup -d "$device"
    else
        echo "no loop device to be had"
    fi
    rm "$images/loop"
}

# start_loop SECTOR_SIZE
start_loop() {
    loop_device=$(losetup --find --show --direct-io=on --sector-size="$1" "$disk_mount/image") &&
        crash_target=$loop_device
}

# A device that somebody holds is detached when he lets go. From then on it may be another test's.
loop_is_free() {
    [ -z "$(losetup -j "$disk_mount/image")" ]
}

stop_loop() {
    [ -n "$loop_device" ] || return 0
    losetup -d "$loop_device" && eventually loop_is_free
    loop_device='' crash_target=''
}

# ---- the guest -------------------------------------------------------------------------------

# guest COMMAND...: one command, which works
guest() {
    tell "$*" && [ "$(hear)" = ok ]
}

# crash_begin MODE USES QUEUES WORKLOAD [OPTION...]: everything up to a guest that is connected. OPTIONs are the disk's.
crash_begin() {
    local mode=$1 uses=$2 queues=$3
    local flushes=0 barriers=0

    start_disk "${@:5}" || return 1
    case $4 in
        loop) start_loop 512 || return 1 ;;
        loop4k) start_loop 4096 || return 1 ;;
    esac
    crash_options=$(crash_options "$mode" "$uses")
    crash_serve "$crash_options" || return 1
    case $uses in *flush*) flushes=1 ;; esac
    case $uses in *barrier*) barriers=1 ;; esac
    guest_run crash-guest --log="$work/promises" --clock="$clock" --seed="$seed" --queues="$queues" \
        --flushes="$flushes" --barriers="$barriers" --timeout=60 --ring-order=$((RANDOM % 3)) \
        --persistent=$((RANDOM % 2))
    guest mark mode "$(contract "$mode")" && guest connect
}

# crash_load N
crash_load() {
    guest start "$1" && guest finish
}

# The guest leaves, the disk goes, the journal is written.
crash_end() {
    guest close && guest_close && detach xvda && ended "$worker" && stop_loop && stop_disk
}

# crash_judge [OPTION...]: what crash-check says of it. The cut points are added to nr_cuts.
crash_judge() {
    local status

    crash-check --seed="$seed" "$@" "$work/journal" "$work/promises" >"$judged"
    status=$?
    cat "$judged" >&2
    cuts=$(grep -o '[0-9]* cut points' "$judged" | cut -d' ' -f1)
    nr_cuts=$((nr_cuts + ${cuts:-0}))
    [ "$status" = 0 ] || keep_logs
    return "$status"
}

# What a violation can be looked at with, in the folder CRASH_KEEP.
keep_logs() {
    [ -z "${CRASH_KEEP:-}" ] || { mkdir -p "$CRASH_KEEP" && cp "$work/journal" "$work/promises" "$judged" "$CRASH_KEEP"; }
    [ ! -s "$log" ] || tail -n 20 "$log" >&2
}

# ---- workloads -------------------------------------------------------------------------------

# N from 1 to MAX: "between MIN MAX"
between() {
    echo $(($1 + RANDOM % ($2 - $1 + 1)))
}

# load_plain N: nothing but the load
load_plain() {
    crash_load "$1"
}

# load_loop N: the same through a loop device, which asks the disk in its own way
load_loop() {
    crash_load "$1"
}

# load_loop4k N: ... with sectors that are larger than the guest's, which have to be read and completed
load_loop4k() {
    crash_load "$1"
}

# load_restarts N: three times the worker is killed in the middle, another one comes, and the guest starts over
load_restarts() {
    local i third=$(($1 / 4))

    guest start "$1" || return 1
    for i in 1 2 3; do
        guest await $((i * third + RANDOM % third)) || return 1
        kill -KILL "$worker"
        ended "$worker" 2>/dev/null
        [ $? = 137 ] || return 1
        launch exec_logged blkback-vbd -f --max-queues=4 "$be"
        worker=$launched
        guest reconnect || return 1
    done
    guest finish
}

# reattach: the toolstack takes the disk away and brings it back. What was lost it has been told then, and may say.
reattach() {
    guest close || return 1
    detach xvda || say "the toolstack says that data was lost, or something else"
    # An orderly worker ends with 0, one whose disk has lost data does not.
    ended "$worker"
    [ $? -lt 124 ] || return 1
    ! xenstore-exists "$be" 2>/dev/null || withdraw
    guest mark attach && crash_serve "$crash_options" && guest connect
}

# load_reattach N: orderly ends in between
load_reattach() {
    local i

    for i in 1 2 3; do
        crash_load $(($1 / 4)) && reattach || return 1
    done
    crash_load $(($1 / 4))
}

# load_errors N: each time something fails, and a discard, too; after a flush that has failed only attaching the disk anew makes it good
load_errors() {
    local i kind error

    for i in 1 2 3 4; do
        kind=write error=5
        case $i in
            1) error=28 ;;
            2 | 4) kind=flush ;;
        esac
        guest start $(($1 / 4)) || return 1
        guest await "$(between 1 $(($1 / 16)))" || return 1
        disk fail "$kind" "$(between 1 8)" "$error" && disk fail discard "$(between 1 8)" 5 || return 1
        guest finish || return 1
        # A guest may come back by itself: nothing is forgotten then.
        if [ "$i" = 2 ]; then
            guest close && guest connect && crash_load $(($1 / 16)) || return 1
        fi
        # What has not come to it fails another time, or never.
        { guest close && disk forgive "$kind" && disk forgive discard && reattach; } || return 1
    done
}

# load_failover N: a flush fails, and then the worker dies: the next one must not know less
load_failover() {
    guest start $(($1 / 2)) && guest await $(($1 / 8)) && disk fail flush 1 5 && guest finish || return 1
    kill -KILL "$worker"
    ended "$worker" 2>/dev/null
    launch exec_logged blkback-vbd -f --max-queues=4 "$be"
    worker=$launched
    guest reconnect && crash_load $(($1 / 2)) && reattach
}

# set_cache MODE: while the guest goes on. The log says when it begins, and when it is done.
set_cache() {
    guest mark changing "$1" || return 1
    if blkbackctl set-cache "$domid/xvda" "$1" >&2; then
        guest mark mode "$1"
    else
        say "set-cache $1 is refused"
        guest mark mode "$cache_now" && may_refuse "$1"
        return
    fi
    cache_now=$1
}

# may_refuse MODE: a guest that was offered no flush when it connected must not get a cache
may_refuse() {
    case $crash_mode in
        directsync | writethrough) ;;
        *) return 1 ;;
    esac
    case $1 in
        directsync | writethrough) return 1 ;;
    esac
}

# change_at_rest N: from a mode with a write cache to one that writes through, after so many requests. No flush of the guest's makes
# up meanwhile for what the change has left out.
change_at_rest() {
    local mode cached=() through=()

    for mode in "${modes[@]}"; do
        case $mode in
            directsync | writethrough) through+=("$mode") ;;
            *) cached+=("$mode") ;;
        esac
    done
    [ ${#cached[@]} -gt 0 ] && [ ${#through[@]} -gt 0 ] || return 0
    set_cache "${cached[RANDOM % ${#cached[@]}]}" && crash_load "$1" &&
        set_cache "${through[RANDOM % ${#through[@]}]}"
}

# load_modes N: the mode changes every so many requests: to any of $served_modes. Twice at rest, too.
load_modes() {
    local i every=$(($1 / 10)) modes

    read -r -a modes <<<"${served_modes/o-dsync/}"
    cache_now=${crash_mode:-none}
    guest start $((every * 8)) || return 1
    for i in 1 2 3 4 5 6 7; do
        guest await $((i * every)) || return 1
        set_cache "${modes[RANDOM % ${#modes[@]}]}" || return 1
    done
    guest finish && change_at_rest "$every" && change_at_rest "$every"
}

# Whether a running disk's mode can be changed: the program's help says.
modes_change() {
    blkbackctl --help | grep -q set-cache
}

# one_run MODE USES QUEUES WORKLOAD REQUESTS [OPTION...]: all of it as one test
one_run() {
    local name="$1, $2, $3 queues, $4" before=$nr_cuts

    crash_mode=$(contract "$1")
    check "$name: a guest at work" crash_begin "$1" "$2" "$3" "$4" "${@:6}"
    check "... $5 requests" "load_$4" "$5"
    check "... its end" crash_end
    check "... every promise is kept, wherever the power fails (CRASH_SEED=$seed)" crash_judge
    cuts=$((nr_cuts - before))
    seed=$((seed + 1))
}
