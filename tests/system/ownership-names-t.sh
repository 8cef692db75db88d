#!/bin/bash
# One file is one image, whatever it is called: a symbolic or hard link, a bind mount, another mount of its file system, another
# name in an overlay, no name at all. What only looks like it is another: a copy that shares its blocks, a snapshot, a new file of the old
# name. Our worker by one name, QEMU's programs by the other, in both orders. Prints the table. (NFS needs a server: that a file system may
# have no locks is in ownership-t.)
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/image-users.sh
. "$(dirname "$0")/../lib/image-users.sh"

mounts=
undo() {
    local folder

    for folder in $mounts; do
        umount "$folder"
    done
    mounts=
}

# mounted NAME OPTION...: at the folder $images/NAME, as long as the test runs
mounted() {
    mkdir -p "$images/$1" && mount "${@:2}" "$images/$1" && mounts="$images/$1 $mounts"
}

[ "$(id -u)" = 0 ] || skip_all "only root can mount"
mounted probe -t tmpfs none 2>/dev/null || skip_all "nothing can be mounted here"

# one NAME OURS OTHER [OPTION]: two names of one image; of the image's driver options
one() {
    what=$1 ours=$2${4:-} target=$3
    ours_first w qemu-io refused
    ours_second w qemu refused
    printf '# %-44s one\n' "$what"
}

# both NAME OURS OTHER: two images
both() {
    what=$1 ours=$2 target=$3
    ours_first w qemu allowed
    ours_second w qemu allowed
    printf '# %-44s both\n' "$what"
}

mkdir "$images/folder"
image=$(new_image folder/disk 8M)

ln -s folder/disk "$images/soft"
one "a symbolic link" "$images/soft" "$image"
one "its file" "$image" "$images/soft"
ln "$image" "$images/hard"
one "a hard link" "$images/hard" "$image"
ln -s folder "$images/link"
one "a link to its folder" "$images/link/disk" "$image"
mounted bound --bind "$images/folder"
one "a bind mount" "$images/bound/disk" "$image"
one "below a bind mount" "$image" "$images/bound/disk"

# ---- names that go -------------------------------------------------------------------------------

what="removed while it is served"
check "$what: served" serve "$images/hard"
guest_open
check "... its guest works" guest_works
rm "$images/hard"
target=$image
refuses "... another name of it is refused" hold qemu-io
check "... a new file of the old name" truncate -s 8M "$images/hard"
target=$images/hard
check "... is another image" hold qemu-io
let_go qemu-io
check "... its guest works on" guest_works
exits 0 "... and leaves" guest_close
refuses "... and is not served the new file" guest_io "read 0 8"
like "$(xenstore-read "$be/hotplug-error")" "*is not the file or device this disk was on before*" "... the store says why"
check "... the disk detaches" detach xvda
exits 0 "... the worker ends with 0" ended "$worker"
rm "$log"
printf '# %-44s one\n# %-44s both\n' "$what" "a new file of the old name"

# The file below a device can only be opened by its name.
truncate -s 8M "$images/below"
if device=$(losetup --find --show "$images/below" 2>/dev/null); then
    rm "$images/below"
    what="a file without a name below a device" target=$device
    check "$what: served" serve "$device"
    guest_open
    check "... its guest works" guest_works
    check "... the log warns" await_line "$log" "images.*/below.*, which has blocks of the image, cannot be reached by that name: nobody is kept"
    refuses "... the device is owned" hold qemu-io
    check "... its guest leaves" we_leave
    rm "$log"
    losetup -d "$device"
    printf '# %-44s warned of\n' "$what"
else
    skip "a file without a name below a device" "no loop device to be had"
fi

# ---- file systems --------------------------------------------------------------------------------

truncate -s 8M "$images/probe/disk"
ln "$images/probe/disk" "$images/probe/hard"
one "a hard link on tmpfs" "$images/probe/disk" "$images/probe/hard" ,cache=writeback

# Each subvolume has a device number of its own, in stat(2) and not in /proc/locks.
on_btrfs() {
    local top=$images/btrfs sub=$images/subvolume

    check "a subvolume" btrfs subvolume create "$top/sub"
    truncate -s 8M "$top/sub/disk" && sync "$top/sub/disk"
    mounted subvolume -o loop,subvol=sub "$images/btrfs.img" || mounted subvolume --bind "$top/sub"
    one "a subvolume, mounted by itself" "$top/sub/disk" "$sub/disk"
    one "... the other way round" "$sub/disk" "$top/sub/disk"
    check "a copy that shares the blocks" cp --reflink=always "$top/sub/disk" "$top/copy"
    both "a reflink" "$top/sub/disk" "$top/copy"
    check "a snapshot" btrfs subvolume snapshot "$top/sub" "$top/snapshot"
    both "a snapshot" "$top/sub/disk" "$top/snapshot/disk"
}

truncate -s 256M "$images/btrfs.img"
if command -v mkfs.btrfs >/dev/null && mkfs.btrfs -q "$images/btrfs.img" && mounted btrfs -o loop "$images/btrfs.img" 2>/dev/null; then
    on_btrfs
else
    skip "btrfs" "no btrfs here"
fi

on_overlay() {
    local top=$images/overlay

    # In the upper layer from the start.
    truncate -s 8M "$top/disk"
    ln "$top/disk" "$top/hard"
    mounted bound-overlay --bind "$top"
    one "a hard link on overlayfs" "$top/disk" "$top/hard" ,cache=writeback
    one "a bind mount of an overlay" "$top/disk" "$images/bound-overlay/disk" ,cache=writeback
    # The file below is another inode. The kernel leaves open what happens then, and nobody is kept out: that is said.
    check "a disk on overlayfs is served" serve "$top/disk,cache=writeback"
    guest_open
    check "... its guest works" guest_works
    check "... the log warns of the file below" await_line "$log" "lies on overlayfs: nobody is kept from using its file in the layer below"
    check "... and its guest leaves" we_leave
    rm "$log"
    printf '# %-44s warned of\n' "the layer below an overlay"
}

mkdir "$images/lower" "$images/layers" && mounted layers -t tmpfs none && mkdir "$images/layers/upper" "$images/layers/work"
if mounted overlay -t overlay none -o "lowerdir=$images/lower,upperdir=$images/layers/upper,workdir=$images/layers/work" 2>/dev/null; then
    on_overlay
else
    skip "overlayfs" "no overlayfs here"
fi

undo
assert_clean
done_testing
