# shellcheck shell=sh
# What a scenario's in_dom0 is written with: guests, their consoles, disks and workers. Sourced by play.
#
# A guest's name is the scenario's, or what is given. Commands that fail end the scenario (set -e).

# ---- disks ------------------------------------------------------------------------------------

# What a scenario says about a disk is "xvda=256M" (an image of that size) or "xvda=/dev/vdb", with options of the
# disk behind it, such as ",cache=writeback", and ",ro" last if it is read-only. These take such a word apart.
disk_vdev() { echo "${1%%=*}"; }
disk_access() { case $1 in *,ro) echo ro ;; *) echo rw ;; esac; }
disk_own_options() { echo "${1%,ro}" | sed 's/^[^,]*//'; }

# $1: the word
disk_target() {
    target=${1#*=}
    target=${target%%,*}
    case $target in
    /*) echo "$target" ;;
    *) image "${1%%=*}" ;;
    esac
}

# Where the image of a disk lies. $1: the disk
image() {
    echo "/images/${name:?}/$1"
}

# The rest: words; without any, those of $disks
disks_make() {
    # shellcheck disable=SC2086 # a list of words
    [ $# != 0 ] || set -- ${disks-}
    for disk; do
        case $disk in
        *=/*) ;;
        *)
            size=${disk#*=}
            truncate -s "${size%%,*}" "$(disk_target "$disk")"
            ;;
        esac
    done
}

# A disk as xl wants it. $1: the word
disk_line() {
    echo "format=raw,vdev=$(disk_vdev "$1"),access=$(disk_access "$1"),backendtype=phy,script=block-blkback,target=$(disk_target "$1")$(disk_own_options "$1")${disk_options-}"
}

disk_config() {
    echo "disk = [ $(for disk in ${disks-}; do printf "'%s', " "$(disk_line "$disk")"; done) ]"
}

# ---- guests -----------------------------------------------------------------------------------

# $1: the guest's name. With boot_from=disk an HVM guest's firmware finds out what to start.
guest_config() {
    case ${guest:?} in
    pv | pvh) kernel=vmlinux ramdisk=guest.cpio console=hvc0 ;;
    hvm) kernel=vmlinuz ramdisk=guest.cpio.xz console='ttyS0 console=hvc0 earlyprintk=ttyS0' ;;
    esac
    cat <<END
name="$1"
type="$guest"
memory=${memory:-256}
vcpus=${vcpus:-1}
cpus=[ $(free_cpus "${vcpus:-1}") ]
tsc_mode="native"
on_poweroff="destroy"
on_crash="destroy"
on_reboot="${on_reboot:-destroy}"
${disk_config-$(disk_config)}
${config-}
END
    [ "${boot_from-}" = disk ] || cat <<END
kernel="/images/boot/$kernel"
ramdisk="/images/boot/$ramdisk"
extra="console=$console quiet loglevel=5 mitigations=off tsc=reliable scenario=$name self=$1 ${parameters-}"
END
    [ "$guest" != hvm ] || cat <<END
serial="file:/var/log/xen/console/serial-$1.log"
vga="none"
vnc=0
sdl=0
usb=0
xen_platform_pci=1
END
}

# The next processors behind those that dom0 and the other guests are pinned to, from the first again when
# guests that are being torn down still hold all of them. $1: how many
free_cpus() {
    taken=$(xl list | awk -v dom0="$(nproc)" 'NR > 1 { vcpus += $4 } END { print vcpus - dom0 }')
    machine_cpus=$(xl info nr_cpus)
    for cpu in $(seq 0 $(($1 - 1))); do
        echo "'$(($(nproc) + (taken + cpu) % (machine_cpus - $(nproc))))',"
    done
}

# What happens when, for those who read the story.
note() {
    read -r uptime _ </proc/uptime
    echo "[$uptime] $*"
}

# Create a guest. $1: its name, default the scenario's
guest_start() {
    note "creating guest ${1:-$name}"
    guest_config "${1:-$name}" >"/run/guests/${1:-$name}.cfg"
    xl create "/run/guests/${1:-$name}.cfg"
}

# Attach more disks, one after the other. libxl gives a disk's hotplug script ten seconds, and those of a guest's creation all
# run at once: on a busy host three are too many. The rest: words, as of $disks
disks_attach() {
    disks_make "$@"
    for disk; do
        xl block-attach "$name" "$(disk_line "$disk")"
    done
}

# Try to create a guest that is to be refused. $1: what xl is to say, $2: its name
guest_refused() {
    note "creating guest ${2:-$name}, which is to be refused"
    guest_config "${2:-$name}" >"/run/guests/${2:-$name}.cfg"
    if xl create "/run/guests/${2:-$name}.cfg" >/run/refused 2>&1; then
        fail "guest '${2:-$name}' is not refused"
    fi
    cat /run/refused
    note "it is refused"
    grep -q "$1" /run/refused || fail "xl does not say '$1'"
}

# $1: the guest
guest_destroy() {
    note "destroying guest ${1:-$name}"
    xl destroy "${1:-$name}"
}

guest_id() {
    xl domid "${1:-$name}"
}

guest_lives() {
    xl domid "$1"
}

# What a guest printed.
console() {
    echo "/var/log/xen/console/guest-${1:-$name}.log"
}

# Having told its result, panicked or lost its disk, a guest says nothing more. $1: a pattern, $2: what it printed
said_or_ended() {
    grep -qe "$1" -e '^GUEST RESULT' -e 'Kernel panic' -e 'disabled for further use' "$2"
}

# Wait until a guest has printed a line that matches. $1: a pattern, $2: seconds, $3: the guest
console_await() {
    note "waiting for guest ${3:-$name} to say '$1'"
    await "${2:-120}" said_or_ended "$1" "$(console "${3:-$name}")" || true
    grep -qe "$1" "$(console "${3:-$name}")" || guest_failed "${3:-$name}" "has not said '$1'"
}

# End the scenario. $1: the guest, $2: what is wrong with it
guest_failed() {
    echo "its last words:"
    tail -n 20 "$(console "$1")"
    fail "guest '$1' $2"
}

# Type a line on a guest's console. $1: the line, $2: the guest
guest_tell() {
    echo "$1" >"$(xenstore-read "/local/domain/$(guest_id "${2:-$name}")/console/tty")"
}

# Wait until in_guest is through and was content, then let the guest go. $1: the guest, $2: seconds
guest_finish() {
    console_await '^GUEST RESULT [0-9]' "${2:-${seconds:-300}}" "${1:-$name}"
    result=$(sed -n 's/^GUEST RESULT \([0-9]*\).*/\1/p' "$(console "${1:-$name}")" | tail -n 1)
    [ "$result" = 0 ] || guest_failed "${1:-$name}" "failed with code $result"
    note "guest ${1:-$name} is content"
    guest_tell poweroff "${1:-$name}"
    await_not 120 guest_lives "${1:-$name}" || fail "guest '${1:-$name}' does not go"
    note "guest ${1:-$name} is gone"
}

guest_run() {
    guest_start "$@"
    guest_finish "$@"
}

# The descriptors of a guest's QEMU that are an image. $1: the disk
qemu_has_open() {
    for fd in /proc/"$(xenstore-read "/local/domain/$(guest_id)/image/device-model-pid")"/fd/*; do
        # shellcheck disable=SC3013 # dash has it
        [ ! "$fd" -ef "$(image "$1")" ] || echo "$fd"
    done
}

# Pages of a file or a block device in dom0's page cache.
cached_pages() {
    pagecache "$1"
}

# Until the scenario ends the kernel writes dirty pages only when somebody asks for it. Otherwise what tells of a page that was not
# written would depend on when the kernel's five seconds are over. And a device that has written little so far has next to no share of
# what may be dirty, so that its pages would be written at once. The rest: the devices
stop_writeback() {
    interval=$(cat /proc/sys/vm/dirty_writeback_centisecs)
    may_be_dirty=$*
    trap allow_writeback EXIT
    echo 0 >/proc/sys/vm/dirty_writeback_centisecs
    for device; do
        echo 30 >"/sys/block/${device##*/}/bdi/min_ratio"
    done
}

allow_writeback() {
    echo "$interval" >/proc/sys/vm/dirty_writeback_centisecs
    for device in $may_be_dirty; do
        echo 0 >"/sys/block/${device##*/}/bdi/min_ratio"
    done
}

# ---- what the workers say -----------------------------------------------------------------------

# The sum of a number that workers log when a guest disconnects. $1: its name
worker_total() {
    sed -n "s/.* $1=\([0-9]*\).*/\1/p" /var/log/blkback/*.log | awk '{ sum += $1 } END { print sum + 0 }'
}

# $1: a number's name, the rest: a condition for test, such as -gt 0
expect_total() {
    total=$(worker_total "$1")
    test "$total" "$2" "$3" || fail "workers say $1=$total, which is not $2 $3"
}

# A number that a disk's worker counts, while it serves. $1: its name, $2: the disk, $3: the guest
worker_now() {
    blkbackctl show "$(guest_id "${3:-$name}")/$2" --json | sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p"
}

# All that a disk's worker says of itself, into $shown. Each look costs processes, of which dom0 has few to spare while it serves
# a load: so look once, and read several values. $1: the disk, $2: the guest's id
look() {
    shown=$(blkbackctl show "$2/$1" --json) || fail "the worker of $1 does not answer"
}

# A value of $shown; of a number that each queue counts, the sum. $1: its name
shown() {
    value=${shown#*\""$1"\":}
    value=${value%%[,\}]*}
    value=${value#\"}
    echo "${value%\"}"
}

# How the disk of $shown is open, as the kernel says: O_DIRECT and O_DSYNC, each 0 or 1.
open_flags() {
    pid=$(shown pid)
    path=$(shown path)
    for fd in /proc/"$pid"/fd/*; do
        # shellcheck disable=SC3013 # dash has it
        [ "$fd" -ef "$path" ] || continue
        # That which has the locks is not for I/O.
        ! grep -q '^lock:' "/proc/$pid/fdinfo/${fd##*/}" || continue
        flags=$(sed -n 's/^flags:\t*//p' "/proc/$pid/fdinfo/${fd##*/}")
        echo "$(((flags & 040000) != 0)) $(((flags & 010000) != 0))"
    done
}

# A node of the backend of the disk of $shown, or nothing. $1: its name
backend_node() {
    xenstore-read "$(shown backend)/$1" 2>/dev/null || true
}

# Wait until a worker has done more writes. $1: the disk, $2: the guest
await_progress() {
    writes=$(worker_now writes "$1" "${2:-$name}")
    await 120 has_progressed "$1" "${2:-$name}" "$writes" || fail "the I/O of the disk $1 does not go on after $writes writes"
}

# $1: the disk, $2: the guest, $3: the writes before
has_progressed() {
    [ "$(worker_now writes "$1" "$2")" -gt "$3" ]
}

nothing_left() {
    [ -z "$(leftovers new)" ]
}

# How many there are.
workers() {
    leftovers workers | wc -l
}

# $1: how many
workers_are() {
    [ "$(workers)" = "$1" ]
}

# The totals are in the log when the workers are gone.
await_workers_end() {
    await 60 workers_are 0 || fail "a worker has not ended"
}

fail() {
    echo "$*"
    exit 1
}
