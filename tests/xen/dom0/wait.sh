# shellcheck shell=sh
# Waiting with a deadline. Sourced.
#
# What is waited for here (a line in the log of a console, a domain that is being torn down, a process
# that ends and is not ours) offers no event to a shell: so it looks ten times a second.

# $1: seconds, the rest: a command. True as soon as the command is.
await() {
    deadline=$(($(uptime_seconds) + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$(uptime_seconds)" -lt "$deadline" ] || return 1
        busybox usleep 100000
    done
}

uptime_seconds() {
    read -r uptime _ </proc/uptime
    echo "${uptime%.*}"
}

# The same for a command that must become false.
await_not() {
    seconds=$1
    shift
    await "$seconds" is_false "$@"
}

is_false() {
    ! "$@"
}
