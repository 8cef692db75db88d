# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# dom0's kernel with its own block backend, xen-blkback, as far as it shows in sysfs and in xenstore: played by
# the test, in the folder that stands for /sys/bus/xen-backend in a simulated host (SIMULATOR.md). What the real
# one does, and when, is in backend/DESIGN.md, section 12.
#
#   . "$(dirname "$0")/../lib/kernel.sh"          after guest.sh
#   kernel_loads; kernel_lets_go; kernel_binds; ...; kernel_ends

bus=$XENSIM_DIR/sys/bus/xen-backend

# The device is there without its driver's module, too.
kernel_sees_disk() {
    mkdir -p "$bus/devices/vbd-$domid-51712"
}

# As the module is loaded: the driver binds to disks before it has its files.
kernel_starts_to_load() {
    mkdir -p "$bus/drivers/vbd" && echo 1 >"$bus/drivers_autoprobe"
}

# kernel_loads [unbind]: unbind is a folder, or a file without effect, instead of one that acts
kernel_loads() {
    kernel_starts_to_load
    case ${1:-acts} in
        acts)
            mkfifo "$bus/drivers/vbd/unbind.answer" "$bus/drivers/vbd/.unbind"
            exec {orders}<>"$bus/drivers/vbd/.unbind"
            kernel_serve &
            kernel=$!
            exec {orders}>&-
            # Only now: who finds the file may write to it.
            mv "$bus/drivers/vbd/.unbind" "$bus/drivers/vbd/unbind"
            ;;
        refuses) mkdir "$bus/drivers/vbd/unbind" ;;
        without-effect) : >"$bus/drivers/vbd/unbind" ;;
    esac
}

# One order at a time: the driver lets go of a disk, and only then the writer goes on. Until "end".
kernel_serve() {
    local name answer

    while read -r -u "$orders" name && [ "$name" != end ]; do
        answer=19 # ENODEV
        if flock "$bus/lock" rm "$bus/devices/$name/driver" 2>/dev/null; then answer=0; fi
        echo "unbound $name $answer" >>"$work/kernel"
        echo "$answer" >"$bus/drivers/vbd/unbind.answer"
    done
}

# What a driver does that binds to the disk, in this order. Who wants to unbind it waits until it has done both.
kernel_binds() {
    local binding

    exec {binding}>"$bus/lock"
    flock "$binding"
    kernel_takes_disk
    kernel_makes_offers
    exec {binding}>&-
}

kernel_takes_disk() {
    kernel_sees_disk
    ln -s ../../drivers/vbd "$bus/devices/vbd-$domid-51712/driver"
}

# Other numbers than ours: whose they are shows.
kernel_makes_offers() {
    xenstore-write "$be/feature-max-indirect-segments" 64 "$be/multi-queue-max-queues" 16 \
        "$be/max-ring-page-order" 2 "$be/state" 2
}

kernel_is_bound() {
    [ -e "$bus/devices/vbd-$domid-51712/driver" ]
}

# What it has offered and is still there
kernel_offers() {
    xenstore-ls "$be" | grep -x -e 'feature-max-indirect-segments = "64"' -e 'multi-queue-max-queues = "16"' \
        -e 'max-ring-page-order = "2"' | tr '\n' ' '
}

kernel_is_gone() {
    ! kernel_is_bound && [ -z "$(kernel_offers)" ]
}

# The module is gone, and so is what it showed.
kernel_ends() {
    if [ -n "${kernel:-}" ]; then
        echo end >"$bus/drivers/vbd/unbind"
        wait "$kernel"
        kernel=
    fi
    rm -rf "$bus"
}
