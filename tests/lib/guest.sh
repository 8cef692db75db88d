# shellcheck shell=bash
# What the shell tests share: TAP, a simulated guest with its disk, and the proof that nothing is left.
#
#   . "$(dirname "$0")/../lib/guest.sh"
#   image=$(new_image disk 16M)
#   check "the disk attaches" attach xvda "$image"
#   check "a write is read back" guest_io "write 0 8 pattern=0x5a" "read 0 8 expect=0x5a"
#   check "the disk detaches" detach xvda
#   assert_clean
#   done_testing
#
# Runs below tests/lib/in-host (tests/lib/run-test sees to it), which preloads the simulator into
# everything. Domain 5 is there from the start; be and fe are the directories of its disk xvda. Functions
# that deal with a guest mean domain $domid.
# Waiting means waiting for an event, for $deadline seconds at most.

# shellcheck disable=SC2034 # variables for the tests
deadline=30

tree=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd) || exit 1
: "${BLKBACK_BUILD:=$tree/build/default}"
PATH=$BLKBACK_BUILD/bin:$PATH:/usr/sbin:/sbin
script=$tree/tools/block-blkback
plugin=$BLKBACK_BUILD/lib/nbdkit-blkfront-plugin.so
work=$(mktemp -d "${TMPDIR:-/tmp}/blkback-test.XXXXXX") || exit 1
log=$work/worker.log
export PATH work BLKBACK_RUNDIR=$work/run
: "${BLKBACK_STATSDIR:?runs below tests/lib/in-host}"

# ---- TAP ------------------------------------------------------------------------------------

nr_tests=0
nr_failed=0

say() {
    printf '# %s\n' "$*" >&2
}

# ok STATUS NAME
ok() {
    nr_tests=$((nr_tests + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $nr_tests - $2"
        return 0
    fi
    nr_failed=$((nr_failed + 1))
    echo "not ok $nr_tests - $2"
}

# check NAME COMMAND...: the command succeeds. What it prints goes to the log of the test.
check() {
    "${@:2}" >&2
    ok $? "$1"
}

# refuses NAME COMMAND...: the command fails. One that was not found, did not end in time or was killed
# has refused nothing.
refuses() {
    local status

    "${@:2}" >&2
    status=$?
    if [ "$status" -gt 0 ] && [ "$status" -lt 124 ]; then
        ok 0 "$1"
    else
        ok 1 "$1"
        say "exit status $status"
    fi
}

# exits STATUS NAME COMMAND...
exits() {
    local status

    "${@:3}" >&2
    status=$?
    is "$status" "$1" "$2"
}

# is GOT WANTED NAME
is() {
    [ "$1" = "$2" ] || say "got '$1', wanted '$2'"
    [ "$1" = "$2" ]
    ok $? "$3"
}

# like GOT PATTERN NAME: a pattern as of case
like() {
    # shellcheck disable=SC2053 # a pattern is meant
    [[ $1 == $2 ]]
    ok $? "$3"
    # shellcheck disable=SC2053
    [[ $1 == $2 ]] || say "'$1' is not like '$2'"
}

# The whole program; only before anything was tested.
skip_all() {
    echo "1..0 # SKIP $*"
    exit 0
}

# skip NAME REASON: one test that cannot be made here
skip() {
    nr_tests=$((nr_tests + 1))
    echo "ok $nr_tests - $1 # SKIP $2"
}

done_testing() {
    echo "1..$nr_tests"
    [ "$nr_failed" -eq 0 ]
    exit
}

# ---- the beginning and the end of every test ------------------------------------------------

# Everything the test starts inherits descriptor 68, so 67 reads the end of file when all of it has ended.
mkfifo "$work/alive" && exec 68<>"$work/alive" && exec 67<"$work/alive" || exit 1

# Images lie where direct I/O works as on a host: not on an overlay, whose inodes are not the storage's.
image_dir() {
    local dir

    for dir in "$BLKBACK_BUILD" /var/tmp /dev/shm; do
        [ "$(stat -f -c %T "$dir" 2>/dev/null)" != overlayfs ] || continue
        dir=$(mktemp -d "$dir/images.XXXXXX" 2>/dev/null) || continue
        if dd if=/dev/zero of="$dir/probe" bs=4096 count=1 oflag=direct 2>/dev/null; then
            rm "$dir/probe"
            echo "$dir"
            return 0
        fi
        rm -r "$dir"
    done
    return 1
}

# For tests that made something outside of their directories
undo() {
    :
}

# A test that stops half way leaves no process of its own behind.
tidy() {
    local status=$? pidfile running

    trap - EXIT
    for pidfile in "$BLKBACK_RUNDIR"/*.pid; do
        [ ! -e "$pidfile" ] || flock -n "$pidfile" true || kill -KILL "$(cat "$pidfile")"
    done
    # Until they have ended they hold what the host counts as left behind.
    mapfile -t running < <(jobs -pr)
    [ ${#running[@]} = 0 ] || { kill -KILL "${running[@]}" && wait "${running[@]}"; } 2>/dev/null
    undo
    rm -rf "$work" "${images:?}"
    exit "$status"
}

images=$(image_dir) || skip_all "no file system with direct I/O for images"
export images
trap tidy EXIT
trap 'exit 143' TERM INT HUP

# new_guest DOMID: create that domain and mean it from now on
new_guest() {
    domid=$1
    be=/local/domain/0/backend/vbd/$domid/51712
    fe=/local/domain/$domid/device/vbd/51712
    xensim domain-create "$domid"
}

new_guest 5 || exit 1

# new_image NAME SIZE: prints the path of a sparse image
new_image() {
    truncate -s "$2" "$images/$1" && echo "$images/$1"
}

# counter NAME: one of the hypervisor's sums
counter() {
    xensim counters | awk -v name="$1" '$1 == name { print $2 }'
}

# No domain is left but dom0: xenstored lets go of a dead one's page in its own time, as on a real host,
# and no event tells when.
settled() {
    ! xensim counters | grep '^domain [1-9]' >&2
}

# who_is_left: the processes that have descriptor 68, or a copy of it, open
who_is_left() {
    local process

    for process in /proc/[1-9]*; do
        [ "$process" = "/proc/$$" ] || [ -z "$(find "$process/fd" -lname "$work/alive*" 2>/dev/null)" ] ||
            say "${process#/proc/}: $(tr '\0' ' ' <"$process/cmdline")"
    done
}

# assert_clean [killed]: all processes have ended, and nothing of them is left. A process that was
# killed has let the kernel unmap its grants, and leaves its socket and its record to the next one; all
# others have done so themselves.
assert_clean() {
    local id left

    for id in $(xenstore-list /local/domain); do
        [ "$id" = 0 ] || xensim domain-destroy "$id"
    done
    exec 68>&-
    read -r -t "$deadline" -u 67 _
    left=$(($? > 128))
    ok "$left" "no process is left"
    [ "$left" = 0 ] || who_is_left
    check "no domain is left" eventually settled
    is "$(find "$BLKBACK_RUNDIR" -name '*.pid' 2>/dev/null)" "" "no pid file is left"
    if [ "${1:-}" != killed ]; then
        is "$(find "$BLKBACK_RUNDIR" -name '*.sock' 2>/dev/null)" "" "no control socket is left"
        is "$(find "$BLKBACK_STATSDIR" -mindepth 1)" "" "no record for xentop is left"
    fi
    # Directories above a disk's may stay, empty.
    is "$(xenstore-ls -f /local/domain/0/backend 2>/dev/null | grep -v ' = ""$')" "" "no node is left"
    check "no grant, port or handle is left" xensim counters --check
    is "$(counter grants_mapped) $(counter maps)" "0 $(counter unmaps)" "every grant was unmapped"
    [ "${1:-}" = killed ] ||
        is "$(counter unmapped_by_close)" 0 "... by the worker, not by the kernel"
}

# ---- waiting --------------------------------------------------------------------------------

# await NODE VALUE: until the node has that value. VALUE "" means until it is gone.
await() {
    local fd watcher value until=$((SECONDS + ${deadline%.*}))

    # Bash counts whole seconds: a part of one becomes one.
    [ "${deadline%.*}" = "$deadline" ] || until=$((until + 1))
    exec {fd}< <(exec xenstore-watch "$1" 2>/dev/null)
    watcher=$!
    while value=$(xenstore-read "$1" 2>/dev/null); [ "$value" != "$2" ]; do
        [ "$SECONDS" -lt "$until" ] || break
        read -r -t $((until - SECONDS)) -u "$fd" _ || break
    done
    kill -KILL "$watcher" 2>/dev/null
    exec {fd}<&-
    [ "$value" = "$2" ] && return 0
    say "'$1' is '$value', not '$2'"
    return 1
}

# eventually COMMAND...: again and again until it succeeds; for what no event tells
eventually() {
    local until=$((SECONDS + deadline))

    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || return 1
        # A breath: nobody writes there.
        read -r -t 0.02 -u 67 _
    done
    return 0
}

# await_line FILE PATTERN: until the file has a line that matches (grep)
await_line() {
    eventually grep -q -s -e "$2" "$1"
}

# whole COMMAND...: run it and wait until everything it started has ended, too; its status.
whole() {
    { ( "$@" 66>&1 1>&65 65>&- ) | cat >&65; return "${PIPESTATUS[0]}"; } 65>&1
}

# A child's lifeline is a pipe it holds the only end of. Between lifeline and held_by PID start the child.
declare -A lifelines

lifeline() {
    mkfifo "$work/lifeline" && exec 66<>"$work/lifeline" && exec {end}<"$work/lifeline"
    rm "$work/lifeline"
}

held_by() {
    exec 66>&-
    lifelines[$1]=$end
}

# launch COMMAND...: in the background, as child $launched
launch() {
    lifeline
    "$@" &
    launched=$!
    held_by "$launched"
}

# ended PID: wait for such a child and all it started; its status, 124 after the deadline.
ended() {
    local fd=${lifelines[$1]}

    read -r -t "$deadline" -u "$fd" _
    [ $? -le 128 ] || return 124
    exec {fd}<&-
    wait "$1"
}

# ---- the toolstack --------------------------------------------------------------------------

# attach VDEV IMAGE [OPTION...]: as libxl does, the script starting the worker
attach() {
    xensim vbd-attach --script="$script" "${@:3}" "$domid" "$1" "$2"
}

detach() {
    xensim vbd-detach "${@:2}" "$domid" "$1"
}

# withdraw: take xvda away although no worker answers, as after an attach that failed
withdraw() {
    local id=$domid

    hotplug remove "/local/domain/0/backend/vbd/$id/51712"
    xenstore-rm "/local/domain/0/backend/vbd/$id/51712" "/local/domain/$id/device/vbd/51712" \
        "/libxl/$id/device/vbd/51712"
}

# hotplug add|remove [BACKEND]
hotplug() {
    XENBUS_PATH=${2:-$be} "$script" "$1"
}

# trip VARIABLE: from now on, in workers started with `tripping`, that call of libtrip.so fails; untrip ends it.
export TRIP_CONFLICT=$work/trip.conflict TRIP_FDATASYNC=$work/trip.fdatasync TRIP_INOTIFY=$work/trip.inotify \
    TRIP_FALLOCATE=$work/trip.fallocate TRIP_THREAD=$work/trip.thread TRIP_LOCKS=$work/trip.locks

tripping() {
    LD_PRELOAD=$LD_PRELOAD:$BLKBACK_BUILD/lib/libtrip.so "$@"
}

trip() {
    : >"${!1}"
}

untrip() {
    rm "${!1}"
}

exec_logged() {
    exec "$@" 2>>"$log"
}

# start_worker [OPTION...]: as a child that logs to $log. Returns when the disk is in InitWait.
# shellcheck disable=SC2120 # tests pass options
start_worker() {
    launch exec_logged blkback-vbd -f "$@" "$be"
    worker=$launched
    await "$be/state" 2
}

worker_is_stopped() {
    local stat

    for stat in /proc/"$worker"/task/*/stat; do
        [[ $(<"$stat") == *') T '* ]] || return 1
    done
}

# The worker has done all it is going to do about what the store says: while xenstored, which takes turns,
# answers us, no thread of it stirs.
worker_is_quiet() {
    local before

    before=$(grep -h -e '^State' -e '_ctxt_' /proc/"$worker"/task/*/status)
    xenstore-read "$be/state" >/dev/null || return 1
    [[ $before != *'State:'[[:space:]]R* ]] &&
        [ "$before" = "$(grep -h -e '^State' -e '_ctxt_' /proc/"$worker"/task/*/status)" ]
}

# stop_worker [PID]: SIGSTOP. Returns when no thread of it runs. It is not stopped before it is quiet: its message to xenstored
# is two writes, and while a client is between them, xenstored (4.17) waits for the second, and everybody for xenstored.
# shellcheck disable=SC2120 # tests pass another one
stop_worker() {
    local worker=${1:-$worker}

    eventually worker_is_quiet && kill -STOP "$worker" && eventually worker_is_stopped
}

# serve IMAGE [OPTION...]: attach xvda to a worker that is our child
serve() {
    # shellcheck disable=SC2119 # no options
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1" &&
        start_worker && hotplug add
}

# image_flags IMAGE: the flags of the worker's descriptors of it, octal, from the kernel; also when it has lost its name. That which
# has the locks is not for I/O.
image_flags() {
    local fd

    for fd in /proc/"$worker"/fd/*; do
        [ "$(readlink "$fd" | sed 's/ (deleted)$//')" != "$1" ] ||
            awk '$1 == "flags:" { flags = $2 } $1 == "lock:" { flags = "" } END { if (flags) print flags }' \
                "/proc/$worker/fdinfo/${fd##*/}"
    done
}

# ---- the guest ------------------------------------------------------------------------------

# as_guest COMMAND...: in domain $domid
as_guest() {
    env XENSIM_DOMID="$domid" XENSTORED_PATH="$XENSIM_DIR/dom$domid/xenstored" "$@"
}

exec_guest() {
    exec env XENSIM_DOMID="$domid" XENSTORED_PATH="$XENSIM_DIR/dom$domid/xenstored" "$@"
}

# guest_io [OPTION...] COMMAND...: single requests, by blkfront-io
guest_io() {
    as_guest timeout --foreground "$deadline" blkfront-io "$@"
}

# with_nbd PARAMETERS COMMAND: the guest's disk as NBD server at $uri while the command runs.
# Returns when the guest has closed its disk.
with_nbd() {
    # shellcheck disable=SC2086 # parameters are words
    whole as_guest timeout --foreground -k 10 "$deadline" nbdkit -U - "$plugin" $1 --run "export uri; $2"
}

# guest_run PROGRAM...: a guest that stays, to be talked to with tell and hear
guest_run() {
    lifeline
    coproc guest_pipe { exec_guest "$@"; }
    # shellcheck disable=SC2154 # coproc sets it
    guest_pid=$guest_pipe_PID
    held_by "$guest_pid"
}

# guest_open [OPTION...]: one that runs blkfront-io
guest_open() {
    guest_run blkfront-io "$@" -
}

# tell COMMAND...: one line each
tell() {
    local fd status

    # Bash keeps the descriptors of a coproc from its children.
    exec {fd}>&"${guest_pipe[1]}" || return 1
    printf '%s\n' "$@" | timeout --foreground "$deadline" cat >&"$fd"
    status=$?
    exec {fd}>&-
    return "$status"
}

# hear [PATTERN]: skip lines until one that matches; print that
hear() {
    local line

    while IFS= read -r -t "$deadline" -u "${guest_pipe[0]}" line; do
        say "guest: $line"
        # shellcheck disable=SC2053 # a pattern is meant
        if [[ $line == ${1:-*} ]]; then
            printf '%s\n' "$line"
            return 0
        fi
    done
    say "the guest does not say '${1:-*}'"
    return 1
}

# guest_close: end of input; the guest's exit status. What it says at the end is in $work/last_words.
guest_close() {
    local fd=${guest_pipe[1]} out=${guest_pipe[0]}

    exec {out}<&"$out"
    exec {fd}>&-
    timeout --foreground "$deadline" cat <&"$out" >"$work/last_words"
    exec {out}<&-
    ended "$guest_pid"
}

# guest_kill: it has no time for last words.
guest_kill() {
    kill -KILL "$guest_pid"
    ended "$guest_pid" 2>/dev/null
}
