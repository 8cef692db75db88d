# shellcheck shell=sh disable=SC2034 # variables are for the harness
# The cache mode changes, in another order, under a guest whose disk has two queues.
# shellcheck source=tests/xen/scenarios/pv-cache-change.sh
. "${stories:?}/pv-cache-change.sh"
by_operator='writeback directsync unsafe none writethrough'
by_toolstack='writeback unsafe directsync none'
vcpus=2
machine='dom0-vcpus=2'
