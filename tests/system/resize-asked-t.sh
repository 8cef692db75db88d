#!/bin/bash
# truncate(2) by name opens and closes nothing, so nobody hears of it: blkbackctl resize finds the new size, and so
# does a request beyond the old end, or one that the storage fails beyond the new one.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# truncate_by_name SIZE
truncate_by_name() {
    perl -e 'truncate($ARGV[0], $ARGV[1]) or die $!' "$image" "$1"
}

asked() {
    blkbackctl resize 5/xvda --json
}

image=$(new_image disk 1M)
exits 3 "a disk that is not served" asked
check "the disk is served" serve "$image"
exits 1 "before the guest comes there is no size to look at" asked
like "$(blkbackctl resize 5/xvda 2>&1)" "*the image is not open*when the guest's driver connects" "... and that is said"
guest_open
tell "write 0 8 pattern=1"
check "the guest works" hear "write 0 8: status 0"
is "$(asked)" '{"sectors":2048,"changed":false,"told":true}' "nothing has changed"
is "$(blkbackctl resize 5/xvda)" "1.0 MiB, 2048 sectors: unchanged" "... for people"

check "the image grows" truncate_by_name 2097152
like "$(asked)" '{"sectors":4096,"changed":*,"told":true}' "asked, the worker finds it"
tell "await-size 4096" "write 4095 1 pattern=2" "read 4095 1 expect=2"
check "... and has told the guest" hear "read 4095 1: status 0 data ok"
is "$(asked)" '{"sectors":4096,"changed":false,"told":true}' "... once"

check "the image grows" truncate_by_name 3145728
tell "write 6143 1 pattern=3 status=any" "await-size 6144" "write 6143 1 pattern=4" "read 6143 1 expect=4"
check "a request beyond the end makes the worker look" hear "read 6143 1: status 0 data ok"

check "the image shrinks" truncate_by_name 1048576
tell "read 6143 1 status=-1" "await-size 2048" "read 2047 1" "read 2048 1 status=-1"
check "so does a read that the storage fails" hear "read 2048 1: status -1"
is "$(blkbackctl resize 5/xvda)" "1.0 MiB, 2048 sectors: unchanged" "... and nothing else has changed"
exits 2 "a size is not its to choose" blkbackctl resize 5/xvda 4G
exits 0 "nothing else was wrong" guest_close
is "$(grep -c 'resized: sectors=' "$log")" 3 "the log has each once"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
