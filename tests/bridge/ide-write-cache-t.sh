#!/bin/bash
# The write cache of QEMU's IDE disk, with the options that blkback-drive-args prints: what strace sees QEMU do to the image between a command
# of the guest and the status that says it is done (B35). With the cache off each write is durable by then; with the cache on none
# is until FLUSH CACHE; in the mode unsafe nothing ever is. The guest's SET FEATURES has the last word, whatever the mode.
set -u
cd "$(dirname "$0")/../.." || exit 2

: "${BLKBACK_BUILD:=build/default}"
bin=$(cd "$BLKBACK_BUILD/bin" && pwd) || exit 2
nr=0
dir=$(mktemp -d "$BLKBACK_BUILD/ide-write-cache.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

command -v strace >/dev/null || { echo "1..0 # SKIP no strace"; exit 0; }
qemus=()
# qemu-system-i386 is the same as that for x86_64, with less.
for qemu in /usr/libexec/xen-qemu-system-i386 /usr/lib/xen/bin/qemu-system-i386 qemu-system-x86_64; do
    ! command -v "$qemu" >/dev/null || qemus+=("$qemu")
done
[ "${#qemus[@]}" -gt 0 ] || { echo "1..0 # SKIP there is no QEMU"; exit 0; }
image=$dir/disk.img
truncate -s 1M "$image"
if ! dd if="$image" of=/dev/null bs=4k count=1 iflag=direct status=none 2>/dev/null; then
    echo "1..0 # SKIP the build tree lies on a file system without direct I/O"
    exit 0
fi

# is NAME WANTED GOT
is() {
    nr=$((nr + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
    else
        echo "not ok $nr - $1"
        printf '# wanted %s\n# got    %s\n' "$2" "$3"
        sed 's/^/# /' "$dir/log"
    fi
}

# accelerator QEMU: one that it has and that needs neither Xen nor KVM
accelerator() {
    local accel

    for accel in qtest tcg; do
        ! printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' |
            timeout 60 "$1" -machine "none,accel=$accel" -display none -S -qmp stdio 2>/dev/null | grep '"QMP"' >/dev/null || break
    done
    echo "$accel"
}

# drive QEMU COMMAND... -- OPTION...: the commands of ide-disk, to a QEMU that strace watches
drive() {
    local qemu=$1 commands=()

    shift
    while [ "$1" != -- ]; do
        commands+=("$1")
        shift
    done
    shift
    rm -f "$dir/socket" "$dir/trace"
    # The trace is a file that strace alone writes: the order of its lines is that in which what depends on each other happened.
    "$bin/ide-disk" "$dir/socket" "${commands[@]}" -- strace -f -y -qq -s 64 -o "$dir/trace" \
        -e trace=openat,pwrite64,pwritev,pwritev2,io_submit,io_uring_enter,fdatasync,fsync,sync_file_range,recvmsg,sendmsg \
        "$qemu" -machine "pc,accel=$accel" -nodefaults -vga none -display none -S \
        -qtest "unix:$dir/socket" -qtest-log none "$@" >"$dir/said" 2>"$dir/log"
}

# One line for each command that the disk was given: its code, that of a feature behind it, and the calls on the image that returned
# before QEMU told the first status without BUSY, DATA and ERROR. A call that returned while no command ran is a line "-".
commands_done() {
    awk '
        function returned(call, text) {
            if (text !~ /= -/ && text !~ /= \?/)
                calls = calls " " call (is_dsync && call ~ /^p/ ? "+O_DSYNC" : "") (text ~ /RWF_DSYNC/ ? "+RWF_DSYNC" : "")
        }
        function flush_idle() {
            if (calls != "")
                print "-" calls
            calls = ""
        }
        { call = $2; sub(/\(.*/, "", call) }
        call == "openat" && /disk\.img"/ { is_dsync = /O_DSYNC/ }
        / <unfinished \.\.\.>$/ { is_ours[$1] = /disk\.img>/; begun[$1] = $0 }
        call == "<..." { call = $3 }
        call ~ /^(pwrite|pwritev|io_|f|sync)/ && !/unfinished/ {
            if ($2 == "<..." ? is_ours[$1] : /disk\.img>/)
                returned(call, ($2 == "<..." ? begun[$1] : "") $0)
        }
        call == "recvmsg" && match($0, /"outb 0x1f1 0x[0-9a-f]+/) { feature = "/" substr($0, RSTART + 14, 2) }
        call == "recvmsg" && match($0, /"outb 0x1f7 0x(30|e7|ef)/) {
            code = substr($0, RSTART + 14, 2)
            if (nr_commands++)
                flush_idle()
            calls = ""
            runs = 1
        }
        # What is sent is seen when the call begins.
        call == "sendmsg" && runs && /"OK 0x0050/ {
            print code (code == "ef" ? feature : "") calls
            calls = ""
            runs = 0
        }' "$dir/trace"
}

# The calls of the command in line N, and of the line only
line() {
    sed -n "$1p" "$dir/done" | cut -s -d ' ' -f 2-
}

# The table: two writes as started, after 82h, after 02h; what SET FEATURES itself and FLUSH CACHE did.
tell_row() {
    printf '# %-12s %-20s %-20s %-20s %-12s %s\n' "$1" "$(line 1)" "$(line 6)" "$(line 9)" "$(line 5)" "$(line 11)"
}

# as_started MODE: on or off
as_started() {
    case $1 in
        directsync | writethrough) echo off ;;
        *) echo on ;;
    esac
}

# judged: standard input is commands_done; whether what a write or a flush promises is kept
judged() {
    sed -E 's/^30 (.* )?p[a-z0-9]+(\+[A-Z_]+| fdatasync)$/30 durable/
        s/^30 p[a-z0-9]+$/30 cached/
        s/^(e7|ef.*) fdatasync$/\1 durable/' | paste -s -d ';'
}

# expected MODE: the same, of the commands below
expected() {
    local durable=durable cached=cached flush=" durable"

    # Nothing was written since the last fdatasync: there is nothing to flush.
    [ "$(as_started "$1")" = on ] || { cached=durable; flush=; }
    [ "$1" != unsafe ] || { durable=cached; flush=; }
    printf '%s\n' "30 $cached" "30 $cached" "e7$flush" "30 $cached" "ef/82$flush" "30 $durable" "30 $durable" \
        "ef/02" "30 cached" "30 cached" "e7$([ "$1" = unsafe ] || echo " durable")" "30 cached" | paste -s -d ';'
}

commands=(identify write 1 write 2 flush write 3 cache-off identify write 4 write 5 cache-on identify write 6 write 7 flush write 8
    reset identify)
for qemu in "${qemus[@]}"; do
    accel=$(accelerator "$qemu")
    printf '# %s\n# %-12s %-20s %-20s %-20s %-12s %s\n' "$qemu" "a write:" "as started" "after 82h" "after 02h" "82h itself" "FLUSH CACHE"
    for mode in none directsync writethrough writeback unsafe; do
        for style in --drive --blockdev; do
            mapfile -d '' -t words < <("$bin/blkback-drive-args" --null $style "$image" "$mode" "$qemu")
            # Else QEMU takes the second channel first.
            words=("${words[@]/#ide-hd,/ide-hd,bus=ide.0,}")
            drive "$qemu" "${commands[@]}" -- "${words[@]}"
            is "$qemu: $mode: $style: the guest's commands are done" 0 $?
            is "... the write cache as started, after 82h, after 02h, after a reset" \
                "$(as_started "$mode") off on on" "$(sed 's/write cache //' "$dir/said" | paste -s -d ' ')"
            commands_done >"$dir/done"
            is "... each write is durable when it is done, or not before FLUSH CACHE" "$(expected "$mode")" "$(judged <"$dir/done")"
            [ "$mode" != unsafe ] || is "... nothing ever is" 0 "$(grep -c -E "fdatasync\\(|fsync\\(|sync_file_range\\(|DSYNC" "$dir/trace")"
            [ $style = --blockdev ] || tell_row "$mode"
        done
    done
done
echo "1..$nr"
