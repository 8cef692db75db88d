#!/bin/bash
# The same random requests to our worker and to QEMU's qdisk, as Debian ships it: the same data, and the same answers but for those
# listed here. Ours follow blkif.h (PROTOCOL.md). Seen with QEMU 7.2.
#
#   request                                  ours   qdisk
#   unknown, or not offered, as a barrier      -2      -1  blkif.h has BLKIF_RSP_EOPNOTSUPP for it (R8)
#   READ or WRITE without segments             -1       0  there is nothing such a request could mean (R9)
#   READ of sector 2^63, or 2^55 + n           -1       0  they are beyond the end; QEMU multiplies by 512, forgets what does not fit 64
#                                                          bits, and reads sector 0, or n (R11)
#
# It writes there, too, so the script has such reads only. Nor does it have
# - requests in flight beside one that is refused: qdisk may then leave another one on the ring, and send no event for it;
# - indirect ones: qdisk answers with operation 6, which no frontend waits for (R13);
# - discards that are no multiples of 4 KiB: qdisk offers pieces of 512 bytes and writes zeros to what is less than a block, ours
#   offers the file system's blocks and leaves the rest (R27).
# The padding of qdisk's responses is what was in the slot before (R13), and is not looked at.
# shellcheck source=tests/lib/random-guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/random-guest.sh"

qemu=/usr/libexec/xen-qemu-system-i386
[ -x "$qemu" ] || skip_all "no '$qemu' (package qemu-system-xen)"

# KIND OPERATION OURS THEIRS, patterns as of case
differences='* 2 -2 -1
unknown-op * -2 -1
no-segments [01] -1 0
wraps-around 0 -1 0'
: >"$work/seen"

serve_qdisk() {
    be=/local/domain/0/backend/qdisk/$domid/51712
    xensim vbd-attach --kind=qdisk "$domid" xvda "$1" || return 1
    launch exec_logged "$qemu" -M xenpv -xen-domid "$domid" -xen-attach -nographic -nodefaults -no-user-config \
        -monitor none -serial none
    qdisk=$launched
    await "$be/state" 2
}

# the_script NAME PROTOCOL RING-ORDER
the_script() {
    random_guest "$images/$1" --peer=qdisk --protocol="$2" --ring-order="$3" --indirect=11 --discard-align=8 \
        --requests=$((1000 * scale)) --trace="$work/$1.trace"
}

is_listed() {
    local kind op ours theirs

    while read -r kind op ours theirs; do
        # shellcheck disable=SC2053 # patterns are meant
        [[ $1 != $kind || $2 != $op || $3 != "$ours" || $4 != "$theirs" ]] || return 0
    done <<<"$differences"
    return 1
}

# Each request must be the same one, and so its data; statuses that differ must be listed.
all_differences_are_listed() {
    local kind op ours theirs bad=0

    diff <(sed 's/ status=.*//' "$work/ours.trace") <(sed 's/ status=.*//' "$work/qdisk.trace") >&2 || bad=1
    paste -d' ' "$work/ours.trace" <(sed 's/.*status=//' "$work/qdisk.trace") | sed 's/op=//; s/status=//' |
        awk '$7 != $8 { print $2, $3, $7, $8 }' >>"$work/seen"
    while read -r kind op ours theirs; do
        is_listed "$kind" "$op" "$ours" "$theirs" && continue
        say "$kind, operation $op: ours $ours, qdisk $theirs"
        bad=1
    done < <(sort -u "$work/seen")
    return "$bad"
}

# Nothing stays in the list that is no longer so.
all_listed_are_seen() {
    local listed kind op ours theirs bad=0

    while read -r listed; do
        differences=$listed
        while read -r kind op ours theirs; do
            ! is_listed "$kind" "$op" "$ours" "$theirs" || continue 2
        done < <(sort -u "$work/seen")
        say "no longer: $listed"
        bad=1
    done <<<"$differences"
    return "$bad"
}

while read -r protocol ring_order; do
    for name in ours qdisk; do
        new_image "$name" 8M >&2
    done
    be=/local/domain/0/backend/vbd/$domid/51712
    check "$protocol: our worker serves" serve "$images/ours" --set=features-off=barrier+indirect
    check "$protocol: ... the script" the_script ours "$protocol" "$ring_order"
    done_with "$protocol"
    check "$protocol: qdisk serves" serve_qdisk "$images/qdisk"
    check "$protocol: ... the script" the_script qdisk "$protocol" "$ring_order"
    check "$protocol: the disk detaches" detach xvda
    kill "$qdisk"
    exits 0 "$protocol: QEMU ends with 0" ended "$qdisk"
    check "$protocol: both have answered the same, but for what is listed" all_differences_are_listed
    check "$protocol: both images are the same" cmp "$images/ours" "$images/qdisk"
    rm "$images/ours" "$images/qdisk"
done <<'TABLE'
x86_64-abi 0
x86_32-abi 2
TABLE
check "whatever is listed does differ" all_listed_are_seen
assert_clean
done_testing
