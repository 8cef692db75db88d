# shellcheck shell=bash disable=SC2119 # functions have options
# Crash tests in shell, on top of guest.sh: a disk that loses power anywhere (voldisk), a guest that writes down what it was
# promised (crash-guest), and crash-check, which holds both against each other.
#
#   crash_begin none barrier+flush 4        mode, what the guest uses, its queues
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
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$disk_mount/image$1" &&
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

# ---- the guest -------------------------------------------------------------------------------

# guest COMMAND...: one command, which works
guest() {
    tell "$*" && [ "$(hear)" = ok ]
}

# crash_begin MODE USES QUEUES [OPTION...]: everything up to a guest that is connected. OPTIONs are the disk's.
crash_begin() {
    local mode=$1 uses=$2 queues=$3
    local flushes=0 barriers=0

    start_disk "${@:4}" || return 1
    crash_serve "$(crash_options "$mode" "$uses")" || return 1
    case $uses in *flush*) flushes=1 ;; esac
    case $uses in *barrier*) barriers=1 ;; esac
    guest_run crash-guest --log="$work/promises" --clock="$clock" --seed="$seed" --queues="$queues" \
        --flushes="$flushes" --barriers="$barriers" --timeout=60
    guest mark mode "$(contract "$mode")" && guest connect
}

# crash_load N
crash_load() {
    guest start "$1" && guest finish
}

# The guest leaves, the disk goes, the journal is written.
crash_end() {
    guest close && guest_close && detach xvda && ended "$worker" && stop_disk
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

# What a violation can be looked at with.
keep_logs() {
    [ -z "${CRASH_KEEP:-}" ] || { mkdir -p "$CRASH_KEEP" && cp "$work/journal" "$work/promises" "$judged" "$CRASH_KEEP"; }
    [ ! -s "$log" ] || tail -n 20 "$log" >&2
}
