#!/bin/bash
# Storage that cannot be served: one sentence that names it and what to do, from --check with exit code 5
# and in hotplug-error.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# refused NAME PATH PATTERN [OPTION]
refused() {
    local sentence

    sentence=$(blkback-vbd --check "$2" ${4:+"$4"} 2>&1)
    is $? 5 "$1: --check exits with 5"
    like "$sentence" "*'$2'*$3*" "$1: the sentence names it and what is wrong"
    is "$(printf '%s\n' "$sentence" | wc -l)" 1 "$1: in one line"
    refuses "$1: cannot be attached" attach xvda "$2"
    is "$(xenstore-read "$be/hotplug-error")" "$sentence" "$1: hotplug-error is that sentence"
    withdraw >&2
}

refused "missing" "$images/missing" "No such file"
refused "a directory" "$images" "is a directory"
mkfifo "$images/fifo"
refused "a FIFO" "$images/fifo" "neither a regular file nor a block device"
refused "a character device" /dev/zero "neither a regular file nor a block device"
refused "an empty file" "$(new_image empty 0)" "is empty"
refused "an odd size" "$(new_image odd 1000)" "not a multiple of 512"
refused "a sector less a byte" "$(new_image short 511)" "not a multiple of 512"
refused "a file system without direct I/O" /proc/version "does not support direct I/O"
refused "a dangling link" "$(ln -s nowhere "$images/dangling" && echo "$images/dangling")" "No such file"
refused "a path through a file" "$(new_image disk 1M)/more" "Not a directory"

# Without the right to write, where users have rights at all.
if [ "$(id -u)" = 0 ]; then
    image=$(new_image private 1M)
    chmod 444 "$image"
    chmod 711 "$images"
    as_nobody="setpriv --reuid=65534 --regid=65534 --clear-groups"
    # shellcheck disable=SC2086 # words
    if env -u LD_PRELOAD $as_nobody test -r "$image" -a -x "$BLKBACK_BUILD/bin/blkback-vbd"; then
        sentence=$(env -u LD_PRELOAD $as_nobody blkback-vbd --check "$image" 2>&1)
        is $? 5 "no permission to write: --check exits with 5"
        like "$sentence" "*'$image'*Permission denied*access 'r'*" "... and says what would help"
        exits 0 "... and that is right" env -u LD_PRELOAD $as_nobody blkback-vbd --check "$image" --read-only
    else
        skip "no permission to write" "an unprivileged user cannot reach the build"
    fi
fi
is "$(blkback-vbd --check "$images/disk")" "$(blkback-vbd --check "$images/disk" --read-only)" "a good one is good"
assert_clean
done_testing
