# shellcheck shell=sh disable=SC2034,SC2154 # variables are for the harness
# The same of a disk that promises nothing: what the others keep is lost, or their tests would find nothing either. An orderly
# end loses nothing.
# shellcheck source=tests/xen/scenarios/pv-power-cut.sh
. "${stories:?}/pv-power-cut.sh"
disks='xvda=/run/voldisk/image,cache=unsafe'
tolerate='unsafe|EXT4-fs|JBD2'

all_cuts() {
    cut_power "$(choose_cuts | tail -n 1)" none
    [ -n "$lost" ] || fail "nothing is lost"
    lose_nothing "$(tail -n 1 "$files/journal" | cut -d ' ' -f 1)" none
}
