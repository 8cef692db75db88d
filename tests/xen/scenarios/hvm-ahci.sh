# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The story of hvm-never-unplugs with a guest that does unplug, at boot as Linux does: but QEMU 7.2 takes no SATA disks away, which
# libxl has it emulate with hdtype=ahci. A QEMU that does would make this fail, as hvm-io would be right then.
# shellcheck source=tests/xen/scenarios/hvm-never-unplugs.sh
. "${stories:?}/hvm-never-unplugs.sh"
parameters=
config='hdtype="ahci"'
