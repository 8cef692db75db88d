#!/bin/bash
# Two never write the same blocks, whatever way they take to them: our worker by one, QEMU's programs by another, whoever comes first. Exactly
# one is let in: who is kept out by ours says that it is for a lock, and ours waits, says for whom, and goes on when that one has let go. Those
# whose blocks are beside each other are let in, both. Prints the table.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317,SC2154 # functions called by check; names set by show
. "$(dirname "$0")/../lib/guest.sh"
# shellcheck source=tests/lib/image-users.sh
. "$(dirname "$0")/../lib/image-users.sh"

mounted=$images/mounted
devices=
undo() {
    local device

    ! mountpoint -q "$mounted" || umount "$mounted"
    for device in $devices; do
        losetup -d "$device"
    done
}

# show NAME OPTION... FILE: a loop device; its path is in the variable NAME
show() {
    local -n shown=$1

    shown=$(losetup --find --show "${@:2}" 2>/dev/null) || skip_all "no loop device to be had"
    devices="$shown $devices"
}

[ "$(id -u)" = 0 ] || skip_all "only root can set up a loop device"

#   file        0                                    32M
#   loop1       all of it;  p1 [1M..9M)  p2 [9M..17M)
#   loop2       all of it
#   upper       all of loop1
#   left        [1M..9M)
#   right               [9M..17M)
#   middle          [5M..13M)
image=$(new_image disk 32M)
# Its partitions go with it (--partscan).
show loop1 --partscan "$image"
show loop2 "$image"
show upper "$loop1"
show left --offset 1M --sizelimit 8M "$image"
show right --offset 9M --sizelimit 8M "$image"
show middle --offset 5M --sizelimit 8M "$image"
if ! addpart "$loop1" 1 2048 16384 || ! addpart "$loop1" 2 18432 16384; then skip_all "no partitions to be had"; fi
p1=${loop1}p1 p2=${loop1}p2
alias=$images/alias
mknod "$alias" b $((0x$(stat -c %t "$loop1"))) $((0x$(stat -c %T "$loop1")))

# ---- the table -----------------------------------------------------------------------------------

# both_orders OTHER allowed|refused
both_orders() {
    ours_first w "$1" "$2"
    ours_second w "$1" "$2"
    printf '# %-26s %-20s ours first: %-8s ours second: %s\n' "$what" "$1" "$2" "$2"
}

while read -r ours target result programs; do
    what="$ours, $target" ours=${!ours} target=${!target}
    for program in ${programs:-qemu-io qemu}; do
        both_orders "$program" "$result"
    done
done <<'TABLE'
image  image  refused qemu-storage-daemon
image  loop1  refused qemu-io qemu qemu-storage-daemon qemu-nbd
loop1  image  refused
loop1  loop1  refused qemu-storage-daemon
loop1  loop2  refused
p1     loop1  refused qemu-io qemu qemu-nbd
loop1  p1     refused
p1     image  refused
image  p1     refused
upper  image  refused
image  upper  refused
p1     left   refused
left   p1     refused
left   middle refused
alias  loop1  refused
p1     p2     allowed
p1     right  allowed
left   right  allowed
TABLE

# ---- beside another disk of ours -----------------------------------------------------------------

xensim domain-create 6

# beside MODE OTHER allowed|refused: the partition beside is served in that mode; what OTHER may do with the whole disk then
beside() {
    local status

    check "beside a disk of mode $1" of 6 attach xvda "$p2" --set=mode="$1"
    second_guest_opens
    check "... whose guest works" second_guest_works
    target=$loop1
    hold "$2"
    status=$?
    if [ "$3" = allowed ]; then
        is "$status" 0 "... $2 on the whole disk is allowed"
    else
        isnt_zero "$status" "... $2 on the whole disk is refused"
        like "$(cat "$work/refusal")" "*lock*" "... because of a lock"
    fi
}

beside_ends() {
    exits 0 "... the other guest leaves" second_guest_leaves
    check "... and its disk goes" of 6 detach xvda
}

# Nobody is on the whole disk: there is no need to wait.
for mode in r w w!; do
    beside "$mode" "qemu -r" "$(case $mode in r) echo allowed ;; *) echo refused ;; esac)"
    [ "$mode" != r ] || let_go "qemu -r"
    check "... a writer of the first partition is served" serve "$p1"
    guest_open
    check "... and works" guest_works
    refuses "... without waiting" grep -q "waits for the image" "$log"
    check "... it leaves" we_leave
    rm "$log"
    beside_ends
    printf '# %-26s %-20s %s\n' "p1 beside p2" "ours, $mode" allowed
done

# What that one lets in does not do for everybody.
while read -r mode program; do
    program=${program//_/ }
    beside "$mode" "$program" allowed
    check "... a writer of the first partition is served" serve "$p1"
    guest_open
    check "... it waits for $program, and for nobody else" await_line "$log" "waits for the image: the image is in use by process $other (${program%% *}[^)]*), which .* as '$loop1'"
    is "$(xenstore-read "$be/state")" 2 "... and is not connected"
    let_go "$program"
    check "... until that one has let go" guest_works
    check "... it leaves" we_leave
    rm "$log"
    beside_ends
    printf '# %-26s %-20s ours second: %s\n' "p1 beside p2 ($mode)" "$program on loop1" refused
done <<'TABLE'
r  qemu_-r
w! qemu-io
TABLE

# ---- two of ours ---------------------------------------------------------------------------------

# Two domains; the script sees that two names are one file or device, but not what is a part of what.
while read -r first second result; do
    check "ours on $first" of 6 attach xvda "${!first}"
    second_guest_opens
    check "... its guest works" second_guest_works
    check "... another worker serves $second" serve "${!second}"
    guest_open
    if [ "$result" = both ]; then
        check "... its guest works, too" guest_works
    else
        check "... its guest waits" await_line "$log" "waits for the image: "
        is "$(xenstore-read "$be/state")" 2 "... and is not connected"
    fi
    exits 0 "... the first one leaves" second_guest_leaves
    [ "$result" = both ] || check "... then the second one works" guest_works
    check "... and leaves" we_leave
    check "... the first one's disk goes" of 6 detach xvda
    rm "$log"
    printf '# %-26s %-20s %s\n' "$first, $second" "ours" "$result"
done <<'TABLE'
p1     loop1  one
loop1  p1     one
p1     left   one
left   p1     one
left   middle one
upper  p1     one
p1     upper  one
p1     p2     both
left   right  both
p1     right  both
TABLE

# ---- the kernel as a writer ----------------------------------------------------------------------

# Who mounts a loop device writes its file: no locks, but a claim.
check "there is a file system" mkfs.ext4 -q -F "$image"
mkdir "$mounted"
while read -r ours theirs; do
    check "$ours is served" serve "${!ours}"
    guest_open
    check "... its guest works" guest_works
    refuses "... $theirs cannot be mounted" mount "${!theirs}" "$mounted"
    check "... the guest leaves" guest_close
    check "... then it can" mount "${!theirs}" "$mounted"
    guest_open
    check "... the guest waits" await_line "$log" "waits for the image: the device .*is in use: .*mounted"
    is "$(xenstore-read "$be/state")" 2 "... and is not connected"
    check "... until it is unmounted" umount "$mounted"
    check "... then it works" guest_works
    check "... and leaves" we_leave
    rm "$log"
    printf '# %-26s %-20s %s\n' "$ours, $theirs" mount one
done <<'TABLE'
image loop1
image upper
loop1 loop2
upper loop1
TABLE
# A file system beside is not one of ours.
check "a file system on the other partition" mkfs.ext4 -q -F "$p2"
check "... is mounted" mount "$p2" "$mounted"
for ours in p1 left; do
    check "$ours is served" serve "${!ours}"
    guest_open
    check "... its guest works" guest_works
    check "... and leaves" we_leave
    refuses "... it had not to wait" grep -q "waits for the image" "$log"
    rm "$log"
    printf '# %-26s %-20s %s\n' "$ours, p2" mount both
done
check "it is unmounted" umount "$mounted"
undo
devices=
assert_clean
done_testing
