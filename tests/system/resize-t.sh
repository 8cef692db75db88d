#!/bin/bash
# The image grows and shrinks under a connected guest: the guest is told, what is new can be written and read, and
# what is beyond the end is refused. Nobody asks for it: whoever resizes the image has closed it. (Before the end
# nothing is refused, upon which the worker would look.)
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# The worker looks on its own after 30 seconds: that is not what is meant.
deadline=20
image=$(new_image disk 1M)
check "the disk is served" serve "$image"
guest_open
tell "write 2047 1 pattern=1"
check "the guest writes the last sector" hear "write 2047 1: status 0"

# the new size in MiB, and a way to it
while read -r mib way; do
    end=$((mib * 2048))
    check "${way%% *}: the image grows" eval "$way"
    tell "await-size $end"
    check "... the guest is told" hear "await-size: sectors=$end"
    is "$(xenstore-read "$be/sectors" "$be/state" | paste -sd' ')" "$end 4" "... in the store, which says Connected"
    tell "write $((end - 1)) 1 pattern=$mib" "read $((end - 1)) 1 expect=$mib"
    check "... it has the new last sector" hear "read $((end - 1)) 1: status 0 data ok"
    is "$(grep -c "resized: sectors=.* -> $end\$" "$log")" 1 "... the log has it once"
done <<'END'
2 truncate -s 2M "$image"
3 dd if=/dev/null of="$image" bs=1M seek=3 count=0 status=none
4 fallocate -l 4M "$image"
5 truncate -s +1M "$image"
END
refuses "qemu-img, which asks first, may not" qemu-img resize -q -f raw "$image" 6M

check "truncate -s 1M: the image shrinks" truncate -s 1M "$image"
tell "await-size 2048"
check "... the guest is told" hear "await-size: sectors=2048"
tell "read 2047 1 expect=1" "write 2040 8 pattern=9" "read 2048 1 status=-1" "write 10239 1 status=-1" \
    "write 2047 2 status=-1" flush
check "... it keeps what is left" hear "read 2047 1: status 0 data ok"
check "... and is refused what has gone" hear "flush: status 0"
exits 0 "nothing else was wrong" guest_close
is "$(stat -c %s "$image")" 1048576 "what was refused has not made the image larger"
check "the last sectors are in it" qemu-io -f raw -r -c "read -P 9 1044480 4096" "$image"
is "$(grep -c "resized: sectors=10240 -> 2048\$" "$log")" 1 "the log has that once, too"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
