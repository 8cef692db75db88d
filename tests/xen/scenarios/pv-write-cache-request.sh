# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A guest turns the write cache of its disk off and on, by a node of its own directory: it gets what it asks for, or a reason.
# While it has none it need not flush; and it does not, having told its own kernel. What it got is gone with the
# connection, whether its driver connects anew or the disk is attached anew.
guest=pv
disks='xvda=64M,cache=none'
more_disks='xvdb=32M,cache=directsync xvdc=32M,cache=unsafe'
tolerate='barrier or flush: disabled|cache mode unsafe|write-cache-request|though the guest asks for another'
seconds=900

# $1: the disk, $2: what is written to its node
ask() {
    xenstore-write "$(cat "/sys/block/$1/device/nodename")/write-cache-request" "$2"
}

# $1: the disk, $2: a node of its backend
told() {
    xenstore-read "$(xenstore-read "$(cat "/sys/block/$1/device/nodename")/backend")/$2" 2>/dev/null || true
}

# $1: the disk, $2: the node, $3: a pattern
is_told() {
    told "$1" "$2" | grep -q "$3"
}

# Ask and get it. $1: the disk, $2: 0 or 1
get() {
    ask "$1" "$2"
    await 60 is_told "$1" write-cache "^$2$" || fail "$1: asking for $2 gives $(told "$1" write-cache), '$(told "$1" write-cache-error)'"
    [ -z "$(told "$1" write-cache-error)" ] || fail "$1: with $2 comes a reason: $(told "$1" write-cache-error)"
}

# Ask and be refused; nothing changes. $1: the disk, $2: what is asked, $3: the reason, $4: what stays
be_refused() {
    ask "$1" "$2"
    await 60 is_told "$1" write-cache-error "$3" || fail "$1: asking for $2 gives no reason: '$(told "$1" write-cache-error)'"
    [ "$(told "$1" write-cache)" = "$4" ] || fail "$1: has $(told "$1" write-cache) all the same"
    echo "$1: $2 is refused: $(told "$1" write-cache-error)"
}

in_guest() {
    for disk in xvda xvdb xvdc; do
        await_disk $disk
    done
    verify-io random /dev/xvda size=16777216 block=4096 depth=8 seconds=600 flush=10 &
    load=$!
    get xvda 0
    # Not before.
    echo 'write through' >/sys/block/xvda/queue/write_cache
    verify-io random /dev/xvda offset=16777216 size=16777216 count=200 flush=10 seed=2
    echo OFF
    read -r _
    # Before, not after.
    echo 'write back' >/sys/block/xvda/queue/write_cache
    get xvda 1
    echo ON
    read -r _
    be_refused xvda maybe 'neither 0 nor 1' 1
    be_refused xvdb 1 'no write cache to be turned on' 0
    be_refused xvdc 0 unsafe 1
    get xvda 0
    get xvdb 0
    get xvdc 1
    kill $load
    wait $load
    connect_anew
    get xvda 0
    echo "OFF AGAIN"
    await_not 120 test -b /dev/xvda || fail "the disk stays"
    await_disk xvda
    [ "$(told xvda write-cache)" = 1 ] || fail "attached anew it has no write cache"
    verify-io random /dev/xvda count=200 flush=10 seed=4
}

# The driver lets the disk go and takes it again. Its node stays.
connect_anew() {
    node=$(cat /sys/block/xvda/device/nodename)
    device=$(echo "${node#device/}" | tr / -)
    echo "$device" >/sys/bus/xen/drivers/vbd/unbind
    await_not 60 test -b /dev/xvda || fail "the driver does not let the disk go"
    echo "$device" >/sys/bus/xen/drivers/vbd/bind
    await_disk xvda
    [ "$(xenstore-read "$node/write-cache-request")" = 0 ] || fail "the node is gone"
    [ "$(told xvda write-cache)" = 1 ] || fail "connected anew it has no write cache"
    [ "$(cat /sys/block/xvda/queue/write_cache)" = 'write back' ] || fail "connected anew the guest sees no write cache"
    verify-io random /dev/xvda count=200 flush=10 seed=3
}

# $1: O_DIRECT and O_DSYNC, $2: the mode, $3: whether flushes come
expect_disk() {
    look xvda "$id"
    [ "$(shown cache)" = "$2" ] || fail "the mode is $(shown cache), not $2"
    [ "$(open_flags)" = "$1" ] || fail "$2: O_DIRECT and O_DSYNC are $(open_flags)"
    [ "$(backend_node cache-mode)" = none ] || fail "the guest has changed what is configured: $(backend_node cache-mode)"
    flushes=$(shown flushes)
    await_progress xvda
    [ "$3" = 0 ] || await 60 has_flushed || fail "$2: no flush comes"
    look xvda "$id"
    [ "$3" = 1 ] || ! has_flushed || fail "$2: flushes come although the guest knows better"
    note "$2: $(($(shown flushes) - flushes)) flushes came"
}

has_flushed() {
    look xvda "$id"
    [ "$(shown flushes)" -gt "$flushes" ]
}

in_dom0() {
    guest_start
    # shellcheck disable=SC2086 # a list of words
    disks_attach $more_disks
    id=$(guest_id)
    console_await '^OFF'
    expect_disk '1 1' directsync 0
    guest_tell "on again"
    console_await '^ON'
    expect_disk '1 0' none 1
    guest_tell "all else"
    console_await '^OFF AGAIN' 240
    expect_mode_is directsync
    xl block-detach "$name" xvda
    await 60 workers_are 2 || fail "the worker has not ended"
    xl block-attach "$name" "$(disk_line "$disks")"
    guest_finish
    await_workers_end
    expect_total failed -eq 0
    expect_total refused -eq 0
}

# $1: the mode
expect_mode_is() {
    look xvda "$id"
    [ "$(shown cache)" = "$1" ] || fail "the mode is $(shown cache), not $1"
}
