#!/bin/bash
# What blkback-vbd says for itself: help, version, and the exit codes a script relies on.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

like "$(blkback-vbd --help)" "Usage: blkback-vbd*Exit codes:*" "--help explains"
like "$(blkback-vbd --version)" "blkback-vbd [0-9]*" "--version tells"
exits 0 "both succeed" blkback-vbd --help
for words in "" "--nonsense" "backend/vbd/5/51712 more" "5/51712" "/etc/passwd" "backend/vbd/5/x" \
    "backend/vbd/99999999999/1" "backend/vbd/../5/51712" "--check" "--check /dev/zero backend/vbd/5/51712"; do
    # shellcheck disable=SC2086 # words are meant
    exits 2 "'$words' is no way to call it" blkback-vbd $words
done
# said WORDS...: what it complains with, and that this is one line
said() {
    blkback-vbd "$@" 2>&1 | paste -sd'|'
}
is "$(said --nonsense)" "blkback-vbd: not an option, or not with that argument: --nonsense; see blkback-vbd --help" \
    "an unknown option is named, in one line"
like "$(said -f -x)" "*: -x; see*" "... a short one, too"
like "$(said -xf)" "*: -x; see*" "... among others, too"
like "$(said --check)" "*missing after --check; see*" "... and one without its argument"
BLKBACK_RUNDIR=run exits 2 "a run directory has an absolute path" blkback-vbd -f backend/vbd/5/51712
BLKBACK_STATSDIR=shm exits 2 "so has the directory for xentop" blkback-vbd -f backend/vbd/5/51712
exits 3 "a disk that is not there" blkback-vbd -f backend/vbd/5/51712
exits 3 "... in the background, too" blkback-vbd backend/vbd/5/51712
xenstore-write "$be/frontend" /local/domain/6/device/vbd/51712 "$be/frontend-id" 5 "$be/state" 1
exits 3 "a frontend of another domain" blkback-vbd -f "$be"
xenstore-write "$be/frontend" "$fe" "$be/online" 0
exits 3 "a disk that is being taken away" blkback-vbd -f "$be"
xenstore-write "$be/state" 5
exits 3 "... in the background, too" blkback-vbd "$be"
like "$(xenstore-write "$be/state" 5; said "$be")" "*'$be' is being taken away*" "... and says so"
xenstore-write /local/domain/0/backend/vbd/6/51712/frontend /local/domain/6/device/vbd/51712
exits 1 "a directory that may not be read is there all the same" as_guest blkback-vbd -f \
    /local/domain/0/backend/vbd/6/51712
XENSTORED_PATH=$work/none exits 4 "no xenstored" blkback-vbd -f backend/vbd/5/51712
XENSTORED_PATH=$work/none exits 4 "... in the background, too" blkback-vbd backend/vbd/5/51712
exits 5 "storage that cannot be served" blkback-vbd --check /etc
exits 2 "the script without a disk" env -u XENBUS_PATH "$script" add
exits 2 "the script without a verb" hotplug ""
xenstore-rm /local/domain/0/backend
assert_clean
done_testing
