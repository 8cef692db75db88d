#!/bin/bash
# What each cache mode does to the image, as strace sees it: the flags it is opened with, by which calls data is moved, how many
# fdatasyncs a flush, a barrier and the end of a connection cost; and that a change of the mode flushes, whatever the mode.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

command -v strace >/dev/null || skip_all "no strace"
trace=$work/trace

# A leak checker cannot look at a process that is traced.
start_traced() {
    rm -f "$trace"
    launch exec_logged env ASAN_OPTIONS=detect_leaks=0 strace -f -y -qq -o "$trace" \
        -e trace=openat,fdatasync,io_submit,io_uring_enter,preadv,pwritev,preadv2,pwritev2 blkback-vbd -f "$be"
    worker=$launched
    await "$be/state" 2
}

# calls PATTERN: so many lines of the trace so far have it
calls() {
    grep -c -E -e "$1" "$trace"
}

syncs() {
    calls 'fdatasync\([0-9]+<[^>]*disk>\) *= 0|fdatasync resumed>.*= 0'
}

# The flags of the image's opening; by its name, or what is open already.
opened() {
    grep -o -E 'openat\([^,]*, "('"$image"'|/proc/self/fd/[0-9]+)", [A-Z_|]*O_RDWR[A-Z_|]*' "$trace" | tail -n 1 |
        grep -o -E 'O_DIRECT|O_DSYNC' | sort | paste -sd' '
}

image=$(new_image disk 1M)

# mode; flags; whether asynchronous I/O moves data; fdatasyncs of a flush, a barrier, one with data
while read -r mode direct dsync aio flush barrier barrier_data; do
    flags=$(printf '%s ' "$([ "$direct" = 0 ] || echo O_DIRECT)" "$([ "$dsync" = 0 ] || echo O_DSYNC)" | xargs)
    status=$((flush < 0 ? -2 : 0))
    xensim vbd-attach --no-script --script="$script" "$domid" xvda "$image,cache=$mode" && start_traced && hotplug add
    ok $? "$mode: the disk is served"
    guest_open
    tell "write 0 8 pattern=1" "read 0 8 expect=1"
    check "... and works" hear "read 0 8: status 0 data ok"
    is "$(opened)" "$flags" "... the image is opened with these flags"
    is "$(($(calls 'io_submit|io_uring_enter') > 0)) $(($(calls 'pwritev2?\(') > 0))" "$aio $((1 - aio))" "... data is moved by those calls"
    is "$(syncs)" 0 "... nothing was flushed"
    tell "flush status=$status"
    check "... a flush" hear "flush: status $status"
    is "$(syncs)" "$((flush < 0 ? 0 : flush))" "... costs so many fdatasyncs"
    n=$(syncs)
    tell "barrier status=$status"
    check "... a barrier" hear "barrier: status $status"
    is "$(($(syncs) - n))" "$barrier" "... costs so many fdatasyncs"
    n=$(syncs)
    tell "barrier 8 8 pattern=2 status=$status"
    check "... a barrier with data" hear "barrier 8 8: status $status"
    is "$(($(syncs) - n))" "$barrier_data" "... costs so many fdatasyncs"
    n=$(syncs)
    # There and back: whatever the guest was promised, all of it is durable before the mode is another.
    if [ "$flush" -ge 0 ]; then
        check "... a change of the mode" blkbackctl set-cache 5/xvda directsync
        is "$(($(syncs) - n)) $(opened)" "1 O_DIRECT O_DSYNC" "... flushes, and opens it anew"
        check "... and back" blkbackctl set-cache 5/xvda "$mode"
        is "$(($(syncs) - n)) $(opened)" "2 $flags" "... once more"
    else
        check "... a change of the mode" blkbackctl set-cache 5/xvda writethrough
        is "$(($(syncs) - n))" "$([ "$mode" = writethrough ] && echo 0 || echo 1)" "... flushes, if it is one"
    fi
    n=$(syncs)
    exits 0 "... the guest leaves" guest_close
    is "$(($(syncs) - n))" 1 "... and what it wrote is made durable"
    check "... the disk detaches" detach xvda
    exits 0 "... the worker ends with 0" ended "$worker"
    rm "$log"
done <<'TABLE'
none 1 0 1 1 1 2
directsync 1 1 1 -1 0 0
writethrough 0 1 0 -1 0 0
writeback 0 0 0 1 1 2
unsafe 0 0 0 0 0 0
TABLE
assert_clean
done_testing
