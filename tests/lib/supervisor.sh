# shellcheck shell=bash
# What the tests of blkbackd share, on top of guest.sh. Disks are attached in libxl's order: nodes, wait for
# InitWait, script; so nobody but the supervisor can have started the worker.
# shellcheck source=tests/lib/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

config=$work/blkbackd.conf
suplog=$work/blkbackd.log

# configure LINE...: the configuration file
configure() {
    printf '%s\n' "[blkbackd]" "$@" >"$config"
}

: >"$config" # the defaults

exec_supervisor() {
    exec blkbackd -f -c "$config" "$@" 2>>"$suplog"
}

# supervise [OPTION...]: start blkbackd as child $supervisor; returns when it is ready, as systemd would see
supervise() {
    rm -f "$work/notify"
    # One that was killed has not said that it stops.
    [ -z "${listener:-}" ] || kill "$listener" 2>/dev/null
    [ -z "${told:-}" ] || exec {told}<&-
    exec {told}< <(exec timeout 250 notify-listen "$work/notify" 67<&- 68<&- 2>/dev/null)
    listener=$!
    read -r -t "$deadline" -u "$told" _ || return 1 # it listens
    export NOTIFY_SOCKET=$work/notify
    launch exec_supervisor "$@"
    unset NOTIFY_SOCKET
    supervisor=$launched
    told "*READY=1*"
}

# told PATTERN: skip what blkbackd tells the service manager until one that matches
told() {
    local line

    while IFS= read -r -t "$deadline" -u "$told" line; do
        # shellcheck disable=SC2053 # a pattern is meant
        [[ $line == $1 ]] && return 0
    done
    say "blkbackd does not tell '$1'"
    return 1
}

# unsupervise: its exit status
unsupervise() {
    kill -TERM "$supervisor"
    ended "$supervisor"
}

# logged PATTERN [N]: wait until at least N lines (1) of its log match
logged() {
    local fd watcher line n=0

    exec {fd}< <(exec timeout --foreground "$deadline" tail -n +1 -f "$suplog" 2>/dev/null)
    watcher=$!
    while [ "$n" -lt "${2:-1}" ] && IFS= read -r -u "$fd" line; do
        # shellcheck disable=SC2053 # a pattern is meant
        if [[ $line == $1 ]]; then n=$((n + 1)); fi
    done
    kill "$watcher" 2>/dev/null
    exec {fd}<&-
    [ "$n" -ge "${2:-1}" ] && return 0
    say "not in the log: '$1'"
    return 1
}

# count PATTERN: lines of its log that match, so far
count() {
    local line n=0

    while IFS= read -r line; do
        # shellcheck disable=SC2053 # a pattern is meant
        if [[ $line == $1 ]]; then n=$((n + 1)); fi
    done <"$suplog"
    echo "$n"
}

# plug VDEV IMAGE [OPTION...]: as libxl
plug() {
    xensim vbd-attach --wait-initwait --script="$script" "${@:3}" "$domid" "$1" "$2"
}

# started NAME: the process that blkbackd started last for that disk; it may not have its pid file yet
started() {
    sed -n "s/^blkbackd: $1: worker \([0-9]*\) started$/\1/p" "$suplog" | tail -n 1
}

# worker_of NAME: the process that serves disk NAME, "vbd-5-51712"
worker_of() {
    cat "$BLKBACK_RUNDIR/$1.pid"
}
