#!/bin/bash
# Requests no honest guest makes: each is answered once, with the right status, and the disk goes on.
#
#   request                                 here   Linux blkback        QEMU
#   operation 4, 7..255                       -2   -2                   -1
#   INDIRECT of neither READ nor WRITE        -2   -1                   -1
#   INDIRECT of no or more than 256 segments  -1   -1                   -1
#   READ or WRITE without segments            -1   -1                   -1
#   more than 11 segments                     -1   -1                   -1
#   first_sect > last_sect, last_sect > 7     -1   -1                   -1
#   beyond the end, wrapping around           -1   -1                   -1
#   WRITE on a read-only disk                 -1   -1                   -1
#   a grant that is none                      -1   -1                   -1
#
# -2 for what is unknown, as blkif.h says: guests that met -1 there, coming from a host with more
# features, took the disk for broken.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

image=$(new_image disk 1M)
qemu-io -f raw -c "write -P 7 0 1M" "$image" >&2
before=$(sha256sum <"$image")

requests() {
    local op

    for op in 4 $(seq 7 255); do
        echo "request op=$op segs=0-7 status=-2"
    done
    echo "request op=255 nr_segments=255 sector=-1 segs=7-0 status=-2"
    # Operations 0 read, 1 write, 2 barrier, 3 flush
    for op in 0 1; do
        echo "request op=$op nr_segments=0 status=-1"
    done
    for op in 0 1 2 3; do
        for n in 12 13 128 255; do
            echo "request op=$op nr_segments=$n status=-1"
        done
        for segs in 1-0 7-6 0-8 8-8 0-255 255-255 255-0 0-7,0-7,3-2 0-0,0-8; do
            echo "request op=$op segs=$segs status=-1"
        done
        # 2048 sectors
        for sector in 2048 2041 4294967295 4294967296 0x7fffffffffffffff 0x8000000000000000 \
            0x007fffffffffffff 0x0080000000000000 -8 -7 -1; do
            echo "request op=$op sector=$sector segs=0-7 status=-1"
        done
        echo "request op=$op sector=2000 segs=0-7,0-7,0-7,0-7,0-7,0-7,0-0 status=-1"
        for gref in 0 65535 4294967295; do
            echo "request op=$op segs=0-7 gref=$gref status=-1"
        done
    done
    for op in $(seq 2 255); do
        echo "request indirect=1 op=$op segs=0-7 status=-2"
    done
    for op in 0 1; do
        for n in 0 257 512 513 4096 65535; do
            echo "request indirect=1 op=$op nr_segments=$n status=-1"
        done
        for segs in 1-0 0-8 255-255 0-7,0-7,3-2; do
            echo "request indirect=1 op=$op segs=$segs status=-1"
        done
        for sector in 2048 2041 -8 -1; do
            echo "request indirect=1 op=$op sector=$sector segs=0-7 status=-1"
        done
        # 256 pages are the whole disk
        echo "request indirect=1 op=$op sector=1 nr_segments=256 status=-1"
        for gref in 0 65535 4294967295; do
            echo "request indirect=1 op=$op segs=0-7 gref=$gref status=-1"
            echo "request indirect=1 op=$op segs=0-7 descriptor=$gref status=-1"
        done
    done
    echo "request indirect=1 op=0 nr_segments=256 status=0"
    for range in "0 2049" "2048 1" "1 2048" "-1 1" "1 -1" "-8 8" "0x0080000000000000 8" "8 0x0080000000000000"; do
        echo "discard $range status=-1"
    done
    # Nothing of an empty flush or barrier is looked at but that it is empty.
    echo "request op=2 nr_segments=0 sector=-1 status=0"
    echo "request op=3 nr_segments=0 sector=-1 status=0"
    echo "read 2047 1 expect=7 status=0"
    echo "read 0 88 expect=7 status=0"
}
requests >"$work/requests"
answers=$(wc -l <"$work/requests")

check "the disk is served" serve "$image"
for guest in "persistent=1 protocol=x86_64-abi" "persistent=0 protocol=x86_32-abi"; do
    # shellcheck disable=SC2086 # options are words
    guest_io --${guest/ / --} - stats <"$work/requests" >"$work/answers"
    is $? 0 "$guest: every status is as it should be"
    is "$(grep -c ': status' "$work/answers")" "$answers" "$guest: $answers requests"
    like "$(grep stats: "$work/answers")" \
        "*requests=$answers responses=$answers*dirty-padding=0*" "$guest: as many answers"
    # Five of them are good; 24 have grants that only Xen can tell are bad; all others are judged
    # by what they say, before anything is done with them.
    like "$(grep 'served ' "$log" | tail -n 1)" "* refused=$((answers - 29)) failed=24" "$guest: nothing bad was tried"
done
is "$(sha256sum <"$image")" "$before" "nothing was written"
check "many in flight at once" guest_io "async request op=9 status=-2" "async read 0 8 expect=7" \
    "async request op=1 segs=5-1 status=-1" "async read 8 8 expect=7" "async request op=0 nr_segments=0 status=-1" \
    "async write 16 8 pattern=8" wait "read 16 8 expect=8"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

check "the same image, read-only" serve "$image" --mode=r
check "writes are refused" guest_io "write 0 8 status=-1" "barrier 0 8 status=-1" "flush 0 8 status=-1" "discard 0 8 status=-2" \
    "request op=1 segs=0-7 sector=-1 status=-1" "request indirect=1 op=1 nr_segments=20 status=-1" "read 16 8 expect=8"
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
