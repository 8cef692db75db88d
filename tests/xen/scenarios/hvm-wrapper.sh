# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The story of hvm-two-paths with the device model's wrapper, as the README has it: QEMU's emulated disk is in the disk's own mode, past
# dom0's page cache, from the first boot on.
# shellcheck source=tests/xen/scenarios/hvm-two-paths.sh
. "${stories:?}/hvm-two-paths.sh"
config='device_model_version="qemu-xen"
device_model_override="/usr/sbin/blkback-qemu-dm"'
emulated_is_cached=0
