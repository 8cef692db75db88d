# shellcheck shell=bash
# Drivers of one disk, one after another, on top of guest.sh.
#
#   check "GRUB reads what Linux wrote" persona grub start "read 0 64 seed:1" stop
#   check "... and hands over" handed_over
# shellcheck source=tests/lib/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

# persona KIND COMMAND...: see blkfront-persona --help. It gives up before it is given up, and says upon what.
persona() {
    as_guest timeout --foreground "$deadline" blkfront-persona "$1" --timeout=20 "${@:2}"
}

# persona_open KIND: one that stays, to be talked to with tell and hear
persona_open() {
    guest_run blkfront-persona "$1" --timeout=20 -
}

# The next driver comes later than our answer: a kernel has to be loaded first.
handed_over() {
    await "$be/state" 2
}

# let_go: the worker has no page that the guest has taken back and may use for something else.
let_go() {
    xensim counters | grep -q "^domain $domid: .* 0 deferred$"
}

# A guest that starts anew in the same domain: nothing of the last driver's is left in its device, which is Initialising, since
# Linux and OVMF see no new device in another. Twice, because what the worker decided upon before may still come: the
# second Closed is an answer, and so is InitWait behind that.
soft_reset() {
    local key state

    for key in $(xenstore-list "$fe"); do
        case $key in
            backend | backend-id | virtual-device | device-type | trusted | state) ;;
            *) xenstore-rm "$fe/$key" ;;
        esac
    done
    for state in 6 1 6 1; do
        xenstore-write "$fe/state" "$state" && await "$be/state" $((state == 6 ? 6 : 2)) || return 1
    done
}
