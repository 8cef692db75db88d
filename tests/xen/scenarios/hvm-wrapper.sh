# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The story of hvm-two-paths with the device model's wrapper, as the README has it, and a disk that promises more than libxl knows: what the emulated
# disk has written is durable, though nobody flushes.
# shellcheck source=tests/xen/scenarios/hvm-two-paths.sh
. "${stories:?}/hvm-two-paths.sh"
config='device_model_version="qemu-xen"
device_model_override="/usr/sbin/blkback-qemu-dm"'
disks='xvda=64M,cache=directsync'
