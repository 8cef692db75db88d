# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A warning of dom0's kernel is noticed.
disks=
fails="dom0's kernel complains: .*WARNING: made up"

in_dom0() {
    echo 'WARNING: made up' >/dev/kmsg
}
