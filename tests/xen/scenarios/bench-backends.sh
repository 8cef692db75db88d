# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# Figures, for `make bench-xen`: one guest does the same I/O on the same block device of dom0 through three
# backends in turns: ours, the kernel's xen-blkback and QEMU's qdisk. What dom0 does alone, without a ring, is
# the limit.
#
# One line for each: FIGURE ROUND BACKEND LOAD IOS US GUEST_MS DOM0_MS SERVER_MS, with the time it took, the
# CPU time of the guest's system, of dom0's, and of the process in it that serves the disk. tests/xen/sampler is told which one it is,
# and the names of what it sees are left for it.
#
# qdisk has the host's page cache between, as it has by default: with direct-io-safe it asks for Linux's native
# AIO, which Debian's device model is built without.
guest=pv
seconds=3000
rounds=5
seconds_each=3
storage=/dev/vdb
# What the kernel says of its own disk.
tolerate='xen-blkback: backend.*using'

# name:operation:order:bytes:in flight
loads='read-4k-1:read:random:4096:1 write-4k-1:write:random:4096:1
read-4k-32:read:random:4096:32 write-4k-32:write:random:4096:32
read-128k-8:read:sequential:131072:8 write-128k-8:write:sequential:131072:8'

# ---- the guest: what dom0 types is done --------------------------------------------------------

in_guest() {
    while read -r word number operation order bytes depth; do
        case $word in
        end) return ;;
        load)
            await_disk xvdb
            echo "LOADED $number $(load-io "$operation" "$order" /dev/xvdb block="$bytes" depth="$depth" seconds=$seconds_each)"
            ;;
        gone)
            await_not 120 test -b /dev/xvdb || fail "the disk stays"
            echo "GONE $number"
            ;;
        esac
    done
}

# ---- dom0 ----------------------------------------------------------------------------------------

# QEMU is started for a guest that has a disk of its from the start.
disk_config="disk = [ 'format=raw,vdev=xvdz,access=rw,backendtype=qdisk,target=/images/bench-backends/small' ]"

# $1: the backend
disk_of() {
    case $1 in
    blkback) how=backendtype=phy,script=block-blkback ;;
    kernel) how=backendtype=phy ;;
    qdisk) how=backendtype=qdisk ;;
    esac
    echo "format=raw,vdev=xvdb,access=rw,$how,target=$storage"
}

# The process that serves the disk. $1: the backend
server_of() {
    case $1 in
    blkback) cat "/run/blkback/vbd-$id-51728.pid" ;;
    kernel) ps | awk -v name="$id.xvdb" 'index($0, "[" name) { print $1 }' ;;
    qdisk) pidof xen-qemu-system-i386 ;;
    esac
}

# CPU time of a process, with threads that have ended. $1: its number
process_ms() {
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print ($12 + $13) * 10 }'
}

# CPU time of dom0, interrupts included.
dom0_ms() {
    awk '$1 == "cpu" { print ($2 + $3 + $4 + $7 + $8) * 10 }' /proc/stat
}

# $1: what is measured from here on, if anything
phase() {
    echo "${1-}" >/host/phase
}

ask_guest() {
    number=$((number + 1))
    echo "$1 $number ${2-}" >"$tty"
}

# The same without any backend. $1: round, $2: the load
measure_dom0() {
    before=$(dom0_ms)
    phase "dom0.${2%%:*}"
    # shellcheck disable=SC2046 # words
    set -- "$1" "$2" $(echo "${2#*:}" | tr : ' ')
    result=$(load-io "$3" "$4" "$storage" block="$5" depth="$6" seconds=$seconds_each)
    phase
    after=$(dom0_ms)
    echo "FIGURE $1 dom0 ${2%%:*} $(echo "$result" | sed 's/.*ios=\([0-9]*\) us=\([0-9]*\) .*/\1 \2/') 0 $((after - before)) $((after - before))"
}

# $1: round, $2: backend, $3: the load
measure() {
    server_before=$(process_ms "$server")
    dom0_before=$(dom0_ms)
    ask_guest load "$(echo "${3#*:}" | tr : ' ')"
    phase "$2.${3%%:*}"
    # Looking whether it is through would cost processor time meanwhile.
    busybox usleep $((seconds_each * 1000000))
    phase
    busybox usleep 1000000
    dom0_after=$(dom0_ms)
    server_after=$(process_ms "$server")
    await 60 grep -q "^LOADED $number " "$(console)" || guest_failed "$name" "does not finish a load"
    result=$(sed -n "s/^LOADED $number .*ios=\([0-9]*\) us=\([0-9]*\) busy_ms=\([0-9]*\).*/\1 \2 \3/p" "$(console)")
    [ -n "$result" ] || guest_failed "$name" "tells no figures"
    echo "FIGURE $1 $2 ${3%%:*} $result $((dom0_after - dom0_before)) $((server_after - server_before))"
}

is_connected() {
    [ "$(xenstore-read "/local/domain/$id/device/vbd/51728/state")" = 4 ]
}

no_nodes() {
    ! xenstore-ls -f /local/domain/0/backend | grep -q "/$id/51728"
}

# $1: round, $2: backend
run_backend() {
    note "round $1, $2"
    xl block-attach "$name" "$(disk_of "$2")"
    await 60 is_connected || fail "$2 does not connect"
    server=$(server_of "$2")
    for load in $loads; do
        measure "$1" "$2" "$load"
    done
    xl block-detach "$name" xvdb
    ask_guest gone
    console_await "^GONE $number" 120
    await 60 no_nodes || fail "$2 does not let go"
}

in_dom0() {
    modprobe xen-gntalloc
    grant-cost $storage
    modprobe xen-blkback
    cat /proc/kallsyms >"/run/logs/$name/kallsyms"
    cat /proc/xen/xensyms >"/run/logs/$name/xensyms"
    truncate -s 1M "$(image small)"
    guest_start
    id=$(guest_id)
    tty=$(xenstore-read "/local/domain/$id/console/tty")
    number=0
    for round in $(seq $rounds); do
        for load in $loads; do
            measure_dom0 "$round" "$load"
        done
        for backend in blkback kernel qdisk; do
            run_backend "$round" "$backend"
        done
    done
    ask_guest end
    guest_finish
    rmmod xen-blkback
}
