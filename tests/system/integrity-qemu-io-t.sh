#!/bin/bash
# What a guest writes is in the image and is read back: patterns at odd offsets and lengths, down to 512
# bytes. A plain file that gets the same commands says how the image must look.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

# offset length, chosen around sectors, pages, and what fits into one request (44 KiB)
places="0:512 512:512 1536:1024 3584:1024 4608:4096 8704:45056 65024:45568 131072:90112 262656:1050112
    1376768:512 2096640:512 2000384:66048 700928:3584 700416:512 705024:512"

writes() {
    local place n=0

    for place in $places; do
        n=$((n + 1))
        printf -- "-c 'write -P %d %d %d' " $((n + $1)) "${place%:*}" "${place#*:}"
    done
    printf -- "-c flush"
}

reads() {
    local place

    for place in $places; do
        printf -- "-c 'read -v %d %d' " "${place%:*}" "${place#*:}"
    done
}

image=$(new_image disk 2M)
copy=$(new_image copy 2M)
check "the disk attaches" attach xvda "$image"
round=0
for guest in "persistent=1" "persistent=0" "protocol=x86_32-abi first-sect=3" \
    "grant-per-request=1 persistent=0 protocol=x86_32-abi first-sect=7"; do
    round=$((round + 20))
    eval "qemu-io -f raw '$copy' $(writes "$round")" >/dev/null
    check "$guest: written" with_nbd "$guest" "qemu-io -f raw \$uri $(writes "$round") >/dev/null"
    check "$guest: read" with_nbd "$guest" "qemu-io -f raw -r \$uri $(reads) | grep -v 'ops;' >'$work/guest'"
    eval "qemu-io -f raw -r '$copy' $(reads)" | grep -v 'ops;' >"$work/host"
    check "$guest: the guest reads what it wrote" cmp "$work/guest" "$work/host"
    check "$guest: the image has it" cmp "$image" "$copy"
done
check "the disk detaches" detach xvda
check "the image is right after detach" cmp "$image" "$copy"
assert_clean
done_testing
