# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# What an NBD server has, as a file (nbdkit, nbdfuse), after guest.sh: storage that nbdkit's filters make bad, or a guest's disk.
#
#   check "there is storage" start_nbd storage nbdkit --filter=error memory 16M error-rate=100% error-file="$work/bad"
#   check "it is served" serve "$images/storage/disk"
#   stop_nbd storage
#
#   start_nbd guest exec_guest nbdkit "$plugin" vdev=xvda        the disk of a guest, which is connected until stop_nbd guest

declare -A nbd_servers nbd_fuses

# Whoever has a FUSE file system mounted must not live in it.
plainly() {
    exec env -u LD_PRELOAD "$@"
}

# start_nbd NAME COMMAND...: nbdkit, with all that is before the command and its arguments; the file is $images/NAME/disk
start_nbd() {
    local name=$1

    [ -w /dev/fuse ] && mkdir -p "$images/$name" || return 1
    rm -f "$work/$name".{socket,nbdkit,nbdfuse}
    launch "${@:2}" -f -U "$work/$name.socket" -P "$work/$name.nbdkit"
    nbd_servers[$name]=$launched
    eventually nbd_is_there "$name" nbdkit "$launched" && show_nbd "$name"
}

# show_nbd NAME: once more, if it is not
show_nbd() {
    rm -f "$work/$1.nbdfuse"
    launch plainly nbdfuse -P "$work/$1.nbdfuse" "$images/$1/disk" "nbd+unix:///?socket=$work/$1.socket"
    nbd_fuses[$1]=$launched
    eventually nbd_is_there "$1" nbdfuse "$launched" && [ -s "$work/$1.nbdfuse" ]
}

# Ready, or ended
nbd_is_there() {
    [ -s "$work/$1.$2" ] || ! kill -0 "$3" 2>/dev/null
}

nbd_is_unmounted() {
    fusermount3 -u "$images/$1" 2>/dev/null || ! mountpoint -q "$images/$1"
}

# stop_nbd NAME: in order: nobody may have the file open.
stop_nbd() {
    local status=0

    eventually nbd_is_unmounted "$1" && ended "${nbd_fuses[$1]}" || status=1
    kill "${nbd_servers[$1]}" && ended "${nbd_servers[$1]}" && [ "$status" = 0 ] && rmdir "$images/$1"
}

# kill_nbd NAME: the storage is gone, as when a cable is cut. What is open stays open; it is made anew with start_nbd.
kill_nbd() {
    kill -KILL "${nbd_fuses[$1]}" "${nbd_servers[$1]}"
    ended "${nbd_fuses[$1]}" 2>/dev/null
    ended "${nbd_servers[$1]}" 2>/dev/null
    umount -l "$images/$1"
}

# For undo
forget_nbd() {
    local name

    for name in "${!nbd_fuses[@]}"; do
        ! mountpoint -q "$images/$name" || umount -l "$images/$name"
    done
}
