# shellcheck shell=sh disable=SC2034 # variables are for the harness
# A scenario that does not end is ended.
seconds=5
fails='not finished after 5 seconds'

in_dom0() {
    mkfifo /run/never
    read -r _ </run/never
}
