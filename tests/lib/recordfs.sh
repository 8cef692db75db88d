# shellcheck shell=bash
# A storage that does what it is told, for shell tests, on top of guest.sh: the program recordfs, which see.
#
#   start_recordfs $((4 << 20)) || skip_all "no FUSE"
#   fs hold sync
#   check "the disk is served" serve "$fs_image"
#   stop_recordfs
# shellcheck source=tests/lib/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

# start_recordfs BYTES: at $fs_image
# shellcheck disable=SC2034 # for the tests
start_recordfs() {
    local fs_dir=$images/recordfs

    fs_image=$fs_dir/image
    mkdir "$fs_dir" && mkfifo "$work/fs.in" "$work/fs.out" || return 1
    env -u LD_PRELOAD recordfs "$fs_dir" "$1" <"$work/fs.in" >"$work/fs.out" 66>&- 67<&- 68>&- &
    fs_pid=$!
    exec {fs_in}>"$work/fs.in" {fs_out}<"$work/fs.out" || return 1
    [ "$(fs_hear)" = ready ]
}

fs_hear() {
    local answer

    read -r -t "$deadline" answer <&"$fs_out" && echo "$answer"
}

# fs COMMAND...: what it answers goes to $fs_answer. Its input is nobody else's, so that it ends with it.
fs() {
    echo "$*" >&"$fs_in"
    # shellcheck disable=SC2034 # for the tests
    fs_answer=$(fs_hear)
}

# stop_recordfs: it unmounts and ends
stop_recordfs() {
    [ -v fs_in ] || return 0
    exec {fs_in}>&- {fs_out}<&-
    unset fs_in
    wait "$fs_pid"
}
