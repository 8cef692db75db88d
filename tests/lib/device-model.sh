# shellcheck shell=bash disable=SC2154 # variables of guest.sh
# A device model for tests in the simulated host: a real QEMU that has opened an image, as libxl starts it, by way of the wrapper. What makes
# it let go on real Xen, the guest's unplugging, cannot be had here: QEMU's own command for closing an image stands for it.

# Its monitors are the toolstack's here and, from the wrapper, blkback's.
model_words=(-machine "pc,accel=tcg" -nodefaults -display none -S -daemonize)

# have_model: writes the configuration that names it. One that knows nothing of Xen does, too.
have_model() {
    local qemu

    qemu=$(command -v qemu-system-x86_64 || command -v qemu-system-i386) || return 1
    cat >"$work/qemu" <<END
#!/bin/sh
[ "\$1" != -xen-domid ] || shift 2
exec $qemu "\$@"
END
    chmod +x "$work/qemu"
    printf '[blkbackd]\ndevice-model = %s\n' "$work/qemu" >"$work/conf"
    export BLKBACK_CONFIG=$work/conf
}

# start_model WORD...: as the device model of domain $domid; sets model to its process
start_model() {
    rm -f "$work/model.pid"
    lifeline
    env -u LD_PRELOAD blkback-qemu-dm -xen-domid "$domid" "${model_words[@]}" -pidfile "$work/model.pid" \
        -chardev "socket,id=libxl-cmd,path=$work/libxl,server=on,wait=off" -mon "chardev=libxl-cmd,mode=control" "$@" >&2 || return 1
    model=$(cat "$work/model.pid") && held_by "$model" && xenstore-write "/local/domain/$domid/image/device-model-pid" "$model"
}

stop_model() {
    kill "${1:--TERM}" "$model"
    read -r -t "$deadline" -u "${lifelines[$model]}" _
    xenstore-rm "/local/domain/$domid/image"
}

# model_has IMAGE: it has the file open
model_has() {
    [ -n "$(find "/proc/$model/fd" -lname "$1")" ]
}

# tell_model COMMAND: one of QEMU's monitor for people, by way of the toolstack's
tell_model() {
    qmp-say "$work/libxl" "$1"
}
