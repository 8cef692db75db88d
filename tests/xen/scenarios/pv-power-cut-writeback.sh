# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The same of a disk that uses dom0's page cache, which the disk writes back by itself, too.
# shellcheck source=tests/xen/scenarios/pv-power-cut.sh
. "${stories:?}/pv-power-cut.sh"
disks='xvda=/run/voldisk/image,cache=writeback'
disk_page_cache=1
