# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness
# The same of a disk that writes through: nothing on it is ever volatile, and the guest sends no flush.
# shellcheck source=tests/xen/scenarios/pv-power-cut.sh
. "${stories:?}/pv-power-cut.sh"
disks='xvda=/run/voldisk/image,cache=directsync'

all_cuts() {
    expect_total flushes -eq 0
    ! grep -q -w volatile "$files/journal" || fail "a write was not durable when it was over"
    for tick in $(choose_cuts); do
        lose_nothing "$tick" none
    done
}
