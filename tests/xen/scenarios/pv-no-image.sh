# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A guest is given a disk that does not exist: it is refused, xl says why, and nothing is left.
guest=pv
disks='xvda=/images/missing'

in_guest() {
    fail "it was created"
}

in_dom0() {
    guest_refused "'/images/missing'.*No such file or directory"
}
