# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The story of pv-save-restore with a PVH guest.
# shellcheck source=tests/xen/scenarios/pv-save-restore.sh
. "${stories:?}/pv-save-restore.sh"
guest=pvh
