#!/bin/bash
# blkbackd's configuration: refused at start with file, line and key; on SIGHUP the old one stays; new kinds are
# served, and what is no longer ours keeps its worker.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

# What libxenstore drops when a watch ends it does not free (seen in 4.17): a leak that is not ours.
echo leak:libxenstore >"$work/leaks"
export LSAN_OPTIONS="${LSAN_OPTIONS:-}:suppressions=$work/leaks"

reload() {
    kill -HUP "$supervisor"
    told "RELOADING=1" && told "MONOTONIC_USEC=*" && told "READY=1"
}

like "$(blkbackd --help)" "Usage: blkbackd*Exit codes:*" "--help explains"
like "$(blkbackd --version)" "blkbackd [0-9]*" "--version tells"
for words in "--nonsense" "backend/vbd/5/51712" "-c" "-f more"; do
    # shellcheck disable=SC2086 # words are meant
    exits 2 "'$words' is no way to call it" blkbackd $words
done
is "$(blkbackd -xf 2>&1)" "blkbackd: not an option, or not with that argument: -x; see blkbackd --help" \
    "an unknown option is named, in one line"
BLKBACK_RUNDIR=here exits 2 "a run directory that is no absolute path" blkbackd -f -c "$config"
exits 0 "--check-config likes what is right" blkbackd --check-config -c "$config"
exits 0 "... and the one that is installed" blkbackd --check-config -c "$tree/tools/blkbackd.conf"
exits 3 "a missing file that was named" blkbackd --check-config -c "$work/none"
configure "kinds = vbd3" "restart-limit = many"
exits 3 "--check-config refuses" blkbackd --check-config -c "$config" 2>"$work/said"
is "$(cat "$work/said")" \
    "blkbackd: error: $config:3: restart-limit = 'many' is not allowed: a number from 0 to 100 is" "... and says why"
exits 3 "it does not start with that" blkbackd -f -c "$config"
exits 3 "... nor in the background" blkbackd -c "$config"
XENSTORED_PATH=$work/none exits 4 "without xenstored neither" blkbackd -f -c "$tree/tools/blkbackd.conf"
XENSTORED_PATH=$work/none exits 4 "... nor in the background" blkbackd -c "$tree/tools/blkbackd.conf"

configure "kinds = vbd3"
cd "$work" || exit 1
config=blkbackd.conf # a relative name is meant from here
check "blkbackd runs" supervise
one=$(new_image one 1M)
three=$(new_image three 1M)
check "a disk of the configured kind attaches" plug xvda "$three" --kind=vbd3
check "one of another is made" xensim vbd-attach --no-script --script="$script" 5 xvdb "$one"

echo "kinds = vbd, vbd3" >>"$config"
check "SIGHUP with a wrong configuration" reload
check "... says where, and that the old one stays" logged \
    "*error: $work/blkbackd.conf:3: key 'kinds' is there twice: the first is in line 2; the old configuration stays"
check "the disk is still served" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
rm "$config"
check "SIGHUP without the file" reload
check "... says so" logged "*error: $work/blkbackd.conf: cannot be opened: No such file or directory; the old*"

worker=$(worker_of vbd3-5-51712)
configure "kinds = vbd" "log-level = debug" "max-queues = 3" "max-grants = 77"
check "SIGHUP with another kind" reload
check "its disk is served now" await /local/domain/0/backend/vbd/5/51728/state 2
is "$(worker_of vbd3-5-51712)" "$worker" "the other kind's disk keeps its worker"
like "$(tr '\0' ' ' <"/proc/$(worker_of vbd-5-51728)/cmdline")" "*blkback-vbd -f -d * backend/vbd/5/51728 " \
    "the new worker logs more"
is "$(xenstore-read /local/domain/0/backend/vbd/5/51728/multi-queue-max-queues)" 3 "... offers as many queues as it says"
like "$(tr '\0' ' ' <"/proc/$(worker_of vbd-5-51728)/cmdline")" "* --max-queues=3 --max-grants=77 *" \
    "... and is told how many pages may be mapped"
kill -KILL "$worker"
check "... but gets no other when it dies" logged "*vbd3-5-51712: over: backing off -> finished"
check "a disk of the kind that was left out is not served" xensim vbd-attach --no-script --kind=vbd3 5 xvdc "$three"
configure
check "SIGHUP with the defaults" reload
check "serves all" await /local/domain/0/backend/vbd3/5/51744/state 2
check "... the one whose worker died, too" await /local/domain/0/backend/vbd3/5/51712/worker-status running

check "xvda detaches" detach xvda
check "xvdb detaches" detach xvdb
check "xvdc detaches" detach xvdc --no-script
exits 0 "blkbackd ends with 0" unsupervise
assert_clean
done_testing
