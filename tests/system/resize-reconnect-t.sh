#!/bin/bash
# The size a guest finds when it comes back is that of now, whatever it was told before, and whether somebody served
# the disk while the image was resized or not. Every way to look at the disk says the same.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# shown: the size as blkbackctl shows it, in JSON, at length and in the list
shown() {
    blkbackctl show 5/xvda --json | sed 's/.*"sectors":\([0-9]*\),.*/\1/'
    blkbackctl show 5/xvda | sed -n 's/^  size  *\([^,]*\), \([0-9]*\) sectors.*/\1 \2/p'
    blkbackctl list | grep -o '[0-9.]* MiB' | head -n 1
}

# says SIZE NAME
says() {
    is "$(shown | paste -sd' ')" "$(($1 * 2048)) $1.0 MiB $(($1 * 2048)) $1.0 MiB" "$2"
}

image=$(new_image disk 1M)
check "the disk is served" serve "$image"
guest_open
tell "write 0 8 pattern=1"
check "the guest works" hear "write 0 8: status 0"
says 1 "1 MiB is shown"
check "the image grows" truncate -s 2M "$image"
tell "await-size 4096"
check "... the guest is told" hear "await-size: sectors=4096"
says 2 "2 MiB is shown"
tell reopen info "write 4095 1 pattern=2" "write 4096 1 status=-1" close
like "$(hear "info:*")" "info: sectors=4096 *" "it comes back, and finds that"
check "... and works" hear "close: backend Closed"

check "the image grows while the guest is away" truncate -s 3M "$image"
tell connect info "write 6143 1 pattern=3"
like "$(hear "info:*")" "info: sectors=6144 *" "... it finds that, too"
check "... and works" hear "write 6143 1: status 0"
says 3 "3 MiB is shown"
check "the image shrinks" truncate -s 1M "$image"
tell "await-size 2048" reopen info "read 2047 1" "read 2048 1 status=-1"
like "$(hear "info:*")" "info: sectors=2048 *" "it comes back to a smaller disk"
check "... and works" hear "read 2048 1: status -1"
for round in 1 2 3; do
    check "connection $round: the image grows" truncate -s $((round + 1))M "$image"
    tell "await-size $((round * 2048 + 2048))" reopen
    check "... the guest is told" hear "reopen: connected"
done
exits 0 "nothing else was wrong" guest_close
is "$(grep -o ': connected: sectors=[0-9]*' "$log" | cut -d= -f2 | paste -sd' ')" "2048 4096 6144 2048 4096 6144 8192" \
    "the log has the size of each connection"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
