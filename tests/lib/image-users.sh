# shellcheck shell=bash disable=SC2154,SC2034 # variables of guest.sh and of the test
# Other users of an image beside our worker, real programs: who may have it beside whom, and what those say who may not. After guest.sh:
#
#   target=FILE_OR_DEVICE    what the others open
#   ours=FILE_OR_DEVICE      what our worker serves; the same if it is not set
#   what=WORDS               how that is called in the names of tests

# ---- the others: each holds $target until let_go, or fails at once ------------------------------

# talker COMMAND...: a program that has opened the image when it has answered
talker() {
    local line

    rm -f "$work/talk.in" "$work/talk.out"
    mkfifo "$work/talk.in" "$work/talk.out"
    lifeline
    env -u LD_PRELOAD "$@" <"$work/talk.in" >"$work/talk.out" 2>"$work/refusal" &
    other=$!
    held_by "$other"
    exec {talk_in}>"$work/talk.in" {talk_out}<"$work/talk.out"
    echo length >&"$talk_in"
    read -r -t "$deadline" -u "$talk_out" line
    [[ $line == *MiB* ]] && return 0
    say "$1: $line"
    exec {talk_in}>&- {talk_out}<&-
    ended "$other"
    return 1
}

# daemon COMMAND...: one that goes into the background when it has
daemon() {
    lifeline
    if ! env -u LD_PRELOAD "$@" 2>"$work/refusal" >&2; then
        exec 66>&- {end}<&-
        return 1
    fi
    # qemu-nbd writes it when it is in the background already.
    eventually test -s "$work/other.pid" && other=$(cat "$work/other.pid") && held_by "$other"
}

let_go() {
    local fd=${lifelines[$other]}

    case $1 in
        qemu-io*) echo quit >&"$talk_in" && exec {talk_in}>&- {talk_out}<&- ;;
        *) kill "$other" ;;
    esac
    # qemu-nbd 7.2 forgets a signal that comes between its pid file and its main loop ("state = RUNNING").
    until read -r -t 2 -u "$fd" _ || [ $? -le 128 ]; do
        kill "$other"
    done
    exec {fd}<&-
    rm -f "$work/other.pid"
}

hold() {
    case $1 in
        "qemu-io -r") talker qemu-io -f raw -r "$target" ;;
        qemu-io) talker qemu-io -f raw "$target" ;;
        "qemu-nbd -r") daemon qemu-nbd -f raw -r --fork --pid-file="$work/other.pid" -k "$work/nbd" "$target" ;;
        qemu-nbd) daemon qemu-nbd -f raw --fork --pid-file="$work/other.pid" -k "$work/nbd" "$target" ;;
        "qemu -r") qemu_system virtio-blk-pci "readonly=on,"  ;;
        qemu) qemu_system ide-hd "" ;;
        qemu-storage-daemon) storage_daemon ;;
    esac
}

# As libxl starts it: opened for good, with the host's page cache
qemu_system() {
    daemon qemu-system-i386 -machine pc -nodefaults -display none -S -daemonize -pidfile "$work/other.pid" \
        -drive "file=$target,format=raw,if=none,id=disk,$2cache=writeback" -device "$1,drive=disk"
}

storage_daemon() {
    local driver=file

    [ ! -b "$target" ] || driver=host_device
    daemon qemu-storage-daemon --daemonize --pidfile "$work/other.pid" \
        --blockdev "driver=$driver,node-name=disk,filename=$target" --nbd-server "addr.type=unix,addr.path=$work/nbd" \
        --export type=nbd,id=export,node-name=disk,writable=on
}

# ---- ours ----------------------------------------------------------------------------------------

# we_serve r|w
we_serve() {
    serve "${ours:-$target}" --set=mode="$1"
}

guest_works() {
    tell "read 0 8" && hear "read 0 8: status 0*"
}

we_leave() {
    guest_close && detach xvda && ended "$worker"
}

# ---- one beside the other ------------------------------------------------------------------------

# ours_first r|w OTHER allowed|refused
ours_first() {
    local status

    check "$what: $1 is served" we_serve "$1"
    guest_open
    check "... and its guest works" guest_works
    hold "$2"
    status=$?
    if [ "$3" = allowed ]; then
        is "$status" 0 "... then $2 is allowed"
        [ "$status" != 0 ] || let_go "$2"
    else
        isnt_zero "$status" "... then $2 is refused"
        [ "$status" != 0 ] || let_go "$2"
        like "$(cat "$work/refusal")" "*lock*" "... because of a lock"
    fi
    check "... the guest works on" guest_works
    check "... and leaves" we_leave
    rm "$log"
}

isnt_zero() {
    [ "$1" != 0 ]
    ok $? "$2"
}

# ours_second r|w OTHER allowed|refused
ours_second() {
    # As the kernel cuts it
    local name=${2%% *}

    name=${name:0:15}
    check "$what: $2 has it" hold "$2"
    check "... then $1 is served" we_serve "$1"
    guest_open
    if [ "$3" = allowed ]; then
        check "... and its guest works" guest_works
        let_go "$2"
    else
        check "... its guest waits, and the log says for whom" await_line "$log" "waits for the image: .* process $other ($name"
        is "$(xenstore-read "$be/state")" 2 "... which is not connected"
        let_go "$2"
        check "... until that one has let go" guest_works
    fi
    check "... it leaves" we_leave
    rm "$log"
}

# ---- another disk of ours, in domain 6 -----------------------------------------------------------

# of DOMID COMMAND...: a command of guest.sh about that domain
of() {
    local domid=$1

    "${@:2}"
}

exec_second_guest() {
    exec env XENSIM_DOMID=6 XENSTORED_PATH="$XENSIM_DIR/dom6/xenstored" blkfront-io -
}

# Its disk is attached already. What it is told comes from a process, so that no other child of ours keeps the pipe open.
second_guest_opens() {
    rm -f "$work/second.in"
    mkfifo "$work/second.in"
    lifeline
    exec_second_guest <"$work/second.in" >"$work/second.out" 2>&1 &
    second_guest=$!
    held_by "$second_guest"
    { echo "read 0 8" && exec cat <&67; } >"$work/second.in" &
    second_tongue=$!
}

second_guest_works() {
    await_line "$work/second.out" "read 0 8: status 0"
}

second_guest_leaves() {
    kill "$second_tongue"
    wait "$second_tongue" 2>/dev/null
    ended "$second_guest"
}
