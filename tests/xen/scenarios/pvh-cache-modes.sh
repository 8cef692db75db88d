# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The story of pv-cache-modes with a PVH guest.
# shellcheck source=tests/xen/scenarios/pv-cache-modes.sh
. "${stories:?}/pv-cache-modes.sh"
guest=pvh
