#!/bin/bash
# Which image a disk has is known by what the image is, not by its name: renamed, linked elsewhere, below a
# loop device, or in other backends' hands.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

loops=
undo() {
    local loop

    [ -z "${storage:-}" ] || kill -CONT "$storage"
    for loop in $loops; do losetup -d "$loop"; done
    ! mountpoint -q "$images/fuse" || umount -l "$images/fuse"
}

xensim domain-create 6
other=/local/domain/0/backend/vbd/6/51712

# taken NAME IMAGE BY: a second disk on it is refused
taken() {
    refuses "$1: refused" xensim vbd-attach --script="$script" 6 xvda "$2"
    like "$(xenstore-read "$other/hotplug-error")" "*in use by the disk backend/$3:*" "... says by whom"
    domid=6 withdraw
}

# free NAME IMAGE: a second disk on it is allowed
free() {
    check "$1: allowed" xensim vbd-attach --script="$script" 6 xvda "$2"
    domid=6 withdraw
}

image=$(new_image one 1M)
second=$(new_image two 1M)
ln -s one "$images/link"
check "a disk is attached by a link" attach xvda "$images/link"
is "$(xenstore-read "$be/physical-device-id")" "$(stat -c 'file %d:%i' "$image")" "it says what it has"
ln -sfn two "$images/link"
taken "the link leads elsewhere; the image" "$image" vbd/5/51712
free "... what the link leads to now" "$second"
mv "$image" "$images/renamed"
taken "the image is renamed" "$images/renamed" vbd/5/51712
image=$(new_image one 1M)
free "... another one has its name" "$image"
check "the disk detaches" detach xvda
is "$(xenstore-read "$be/physical-device-id" 2>/dev/null)" "" "its claim is gone"
free "the image" "$images/renamed"

if loop=$(losetup --show -f "$image" 2>/dev/null); then
    loops=$loop
    nested=$(losetup --show -f "$loop") && loops="$nested $loops"
    check "a disk is attached" attach xvda "$image"
    taken "a loop device over it" "$loop" vbd/5/51712
    taken "... over a loop device over it" "$nested" vbd/5/51712
    detach xvda
    check "a disk on a loop device is attached" attach xvda "$nested"
    taken "the file below" "$image" vbd/5/51712
    detach xvda
else
    skip "loop devices" "there are none"
fi

# foreign NAME [NODE VALUE]...: another backend's disk with these nodes
foreign() {
    local dir=/local/domain/0/backend/$1/5/51728

    shift
    xenstore-write "$dir/state" 4 "$dir/mode" w
    while [ $# -gt 0 ]; do
        xenstore-write "$dir/$1" "$2"
        shift 2
    done
}

foreign qdisk params "aio:$image"
taken "QEMU has it" "$image" qdisk/5/51728
foreign qdisk params "qcow2:$image"
taken "QEMU has it in some format" "$image" qdisk/5/51728
xenstore-rm /local/domain/0/backend/qdisk
foreign vbd3 physical-device-path "$image"
taken "the kernel has it" "$image" vbd3/5/51728
xenstore-write /local/domain/0/backend/vbd3/5/51728/mode r
refuses "... for reading, and we would write" xensim vbd-attach --script="$script" 6 xvda "$image"
domid=6 withdraw
check "... and we read, too" xensim vbd-attach --script="$script" --mode=r 6 xvda "$image"
domid=6 withdraw
xenstore-rm /local/domain/0/backend/vbd3
if [ -n "$loops" ]; then
    foreign vbd3 params x physical-device-path "$loop"
    taken "the kernel has a loop device over it" "$image" vbd3/5/51728
    xenstore-rm /local/domain/0/backend/vbd3
    foreign vbd3 params x physical-device "$(stat -c %t:%T "$loop")"
    taken "... and says its number only" "$image" vbd3/5/51728
fi
xenstore-rm /local/domain/0/backend/vbd3/5/51728/state
free "a directory that is a leftover" "$image"
xenstore-rm /local/domain/0/backend/vbd3

# Among many disks, whichever has it is found: of this script, of others, and directories with nothing in them.
many=/local/domain/0/backend
xenstore-write "$many/vif/21/0/state" 4 "$many/vbd/20" "" "$many/vbd/26/51712/state" 4 "$many/vbd/26/51712/mode" w
for id in 21 22 23 24 25; do
    xenstore-write "$many/vbd/$id/51712/state" 4 "$many/vbd/$id/51712/mode" w \
        "$many/vbd/$id/51728/state" 4 "$many/vbd/$id/51728/physical-device-id" "file 0:$id"
done
free "what none of many has" "$image"
for id in 21 23 25; do
    xenstore-write "$many/vbd/$id/51728/physical-device-id" "$(stat -c 'file %d:%i' "$image")"
    taken "one of many has claimed it" "$image" "vbd/$id/51728"
    xenstore-write "$many/vbd/$id/51728/physical-device-id" "file 0:$id"
    xenstore-write "$many/vbd/$id/51712/params" "$image"
    taken "one of many has it, another backend's" "$image" "vbd/$id/51712"
    xenstore-rm "$many/vbd/$id/51712/params"
done
free "what none of them has any more" "$image"
xenstore-rm "$many/vif" "$many/vbd"

# A storage that does not answer holds up neither its own disk's claim nor others.
if [ -r /dev/fuse ] && [ -w /dev/fuse ]; then
    mkdir "$images/fuse"
    mkfifo "$work/commands"
    env -u LD_PRELOAD recordfs "$images/fuse" 1048576 <"$work/commands" >"$work/answers" 2>/dev/null &
    storage=$!
    exec {commands}>"$work/commands"
    check "a storage is ready" await_line "$work/answers" ready
    foreign vbd3 params "$images/fuse/image"
    kill -STOP "$storage"
    free "a disk elsewhere" "$image"
    kill -CONT "$storage"
    xenstore-rm /local/domain/0/backend/vbd3
    exec {commands}>&-
    wait "$storage"
    storage=
else
    skip "a storage that does not answer" "/dev/fuse cannot be opened"
fi
assert_clean
done_testing
