# shellcheck shell=sh disable=SC2034 # variables are for the harness
# Direct I/O straight into granted pages, 32 requests at a time, is right with both of Linux's engines, on a
# file and on a block device: in dom0, without a guest.
disks=

in_dom0() {
    modprobe xen-gntalloc
    truncate -s 1M "$(image file)"
    for storage in "$(image file)" /dev/vdb; do
        for engine in aio uring; do
            granted-io $engine "$storage" rounds=200
        done
    done
}
