# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A guest that is left running is noticed, with its worker and its nodes.
disks='xvda=16M'
fails='left over: domain [0-9]* harness-leftovers;worker [0-9]*;file .*;node .*/51712;'

in_guest() {
    read -r _
}

in_dom0() {
    guest_start
}
