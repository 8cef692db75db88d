# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness, or its
# A guest's disk is served from a driver domain: a guest with blkbackd and `xl devd`, whose own disk dom0 serves.
guest=pv
disk_config="disk = [ 'format=raw,vdev=xvda,access=rw,backend=driver,backendtype=phy,script=block-blkback,target=/dev/xvda' ]"

in_guest() {
    await_disk xvda
    verify-io random /dev/xvda block=4096 depth=32 count=1000 flush=50
    verify-io append /dev/xvda count=512 flush=64
}

# The driver domain runs the system of dom0, which knows what to do by the parameter.
driver_start() {
    note "creating the driver domain"
    (
        parameters=harness=driver
        memory=512
        config='driver_domain=1'
        disk_config="disk = [ '$(disk_line xvda=64M)' ]"
        guest_config driver | sed 's|guest\.cpio|dom0.cpio|' >/run/guests/driver.cfg
    )
    xl create /run/guests/driver.cfg
    console_await 'DRIVER DOMAIN IS UP' 120 driver
}

in_dom0() {
    truncate -s 64M "$(image xvda)"
    driver_start
    guest_run
    xenstore-ls "/local/domain/$(guest_id driver)/backend" | grep -q ' state = ' && fail "the driver domain keeps the disk"
    guest_tell leave driver
    await_not 120 guest_lives driver || fail "the driver domain does not go"
    grep 'served reads' "$(console driver)" || fail "the driver domain has served nothing"
    await_workers_end
    verify-io check "$(image xvda)" count=512
    expect_total failed -eq 0
}
