#!/bin/bash
# The hotplug script when things go wrong: what it says, and that it never reports a disk that nothing
# serves, nor leaves one behind that nobody has.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

offer() {
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1"
}

# fails NAME PATTERN: add fails, and says so
fails() {
    exits 1 "$1: add fails" hotplug add
    like "$(node hotplug-error)" "$2" "... hotplug-error says why"
    is "$(node hotplug-error | wc -l) $(node hotplug-status)" "1 error" "... in one line"
    is "$(node physical-device-id)$(node physical-device-path)" "" "... and nothing is claimed"
}

image=$(new_image disk 1M)

# ---- how it is called
for path in "" nonsense backend/vbd/5 backend/vbd/5/x /backend/vbd/5/51712 backend/vbd/5/51712/ \
    "x
backend/vbd/5/51712"; do
    exits 2 "XENBUS_PATH '${path/$'\n'/ }'" env XENBUS_PATH="$path" "$script" add
done 2>"$work/said"
like "$(cat "$work/said")" "*not set to a disk's directory, such as backend/vbd/5/51712: 'nonsense'*" "... says what is right"
said=$(XENSTORED_PATH=$work/none hotplug add 2>&1)
like "$?$said" "1*xenstored cannot be reached*" "no xenstored"
offer "$image"
export BLKBACK_VBD=nowhere
fails "no worker installed" "the program 'nowhere' is missing: install *BLKBACK_VBD"
cat >"$work/dies" <<'END'
#!/bin/sh
[ "$1" != --check ] || exit 0
kill -KILL $$
END
chmod +x "$work/dies"
BLKBACK_VBD=$work/dies
fails "a worker that is killed" "the worker does not start: it ended with code 137; see syslog"
unset BLKBACK_VBD
withdraw

# ---- a driver domain
be5=/local/domain/5/backend/vbd/6/51712
xenstore-write "$be5/state" 1 "$be5/params" "" "$be5/mode" w
for n in "" /state /params /mode; do xenstore-chmod "$be5$n" n5; done
said=$(as_guest env XENBUS_PATH=backend/vbd/6/51712 "$script" add 2>&1)
like "$?$said" "1*no image is named*" "in a driver domain, where / may not be read"
is "$(xenstore-read "$be5/hotplug-status")" error "... the answer is in its own directory"
check "... remove works, too" as_guest env XENBUS_PATH=backend/vbd/6/51712 "$script" remove
xenstore-rm /local/domain/5/backend

# ---- names
touch "$images/new
line"
offer "$images/new
line"
fails "a newline in the name" "*control characters*make a link*"
withdraw
offer "$image
"
fails "a newline at its end" "*control characters*make a link*"
withdraw

# ---- the disk goes away
offer "$image"
xenstore-write "$be/online" 0
fails "a disk that is offline" "the worker does not start: *is being taken away*"
xenstore-write "$be/state" 5
fails "... and Closing" "the worker does not start: *is being taken away*"
withdraw
mkdir "$work/bin"
cat >"$work/bin/xenstore-write" <<END
#!/bin/sh
PATH=/usr/bin:/bin
case "\$*" in
*"\$VANISH_AT"*) xenstore-rm "$be" ;;
esac
exec xenstore-write "\$@"
END
chmod +x "$work/bin/xenstore-write"
for at in physical-device-id physical-device-path hotplug-status; do
    offer "$image"
    exits 1 "gone before $at is written: add fails" env PATH="$work/bin:$PATH" VANISH_AT="$at" XENBUS_PATH="$be" "$script" add
    refuses "... and makes no directory anew" xenstore-exists "$be"
    xenstore-rm "$fe" "/libxl/$domid/device/vbd/51712"
done

# ---- two verbs at once
offer "$image"
exec {lock}>"$BLKBACK_RUNDIR/vbd-5-51712.lock"
flock "$lock"
hotplug add {lock}>&- &
first=$!
deadline=0.3 refuses "one verb waits for the other" await "$be/hotplug-status" connected
rm "$BLKBACK_RUNDIR/vbd-5-51712.lock"
exec {lock}>&-
check "... and works, although the file it waited for is gone" wait "$first"
is "$(node hotplug-status)" connected "... it has"
is "$(find "$BLKBACK_RUNDIR" -name '*.lock')" "" "no lock is left"
is "$(stat -c %a "$BLKBACK_RUNDIR")$(find "$BLKBACK_RUNDIR" -type f ! -perm 600)" 700 "nobody else can open the files there"
check "the disk detaches" detach xvda

# ---- a worker is there
offer "$image"
check "a supervisor's worker" start_worker
xenstore-write "$be/state" 5 "$be/online" 1
await "$be/state" 2
check "is as good as ours" hotplug add
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"

# A worker of the disk's former life holds the pid file until it has ended.
check "a disk is attached" offer "$image"
mkdir -p "$BLKBACK_RUNDIR"
exec {held}>"$BLKBACK_RUNDIR/vbd-5-51712.pid"
flock "$held"
hotplug add {held}>&- &
first=$!
deadline=0.3 refuses "a worker is there, but the disk is not served: add waits" await "$be/hotplug-status" connected
exec {held}>&-
check "... until it has ended, and starts one" wait "$first"
is "$(node state)" 2 "... that serves"
check "the disk detaches" detach xvda

# ---- a worker that was killed
check "a disk is attached" attach xvda "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
kill -KILL "$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")"
flock -s "$BLKBACK_RUNDIR/vbd-5-51712.pid" true
check "when its worker is killed, add starts another" hotplug add
is "$(node state) $(node hotplug-status)" "4 connected" "... which leaves the guest in peace"
tell "async write 8 8 pattern=2"
deadline=1 refuses "... though it serves nothing" hear "write 8 8: *"
guest_kill
check "a guest that starts over is served" guest_io "read 0 8 expect=1"
check "the disk detaches" detach xvda

# ---- a worker that hangs
sed 's/^stop_seconds=30$/stop_seconds=1/' "$script" >"$work/block-blkback"
chmod +x "$work/block-blkback"
is "$(grep -c '^stop_seconds=1$' "$work/block-blkback")" 1 "a script that waits for a second"
check "a disk is attached" attach xvda "$image"
check "... whose worker is stopped" stop_worker "$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")"
said=$(script=$work/block-blkback hotplug remove 2>&1)
like "$?$said" "0*killing it*may be lost" "a worker that hangs is killed"
is "$(find "$BLKBACK_RUNDIR" -name '*.pid')" "" "... and its pid file removed"
XENSIM_STATE_SECONDS=1 detach xvda --force
sed -i 's/signal_worker -KILL/:/' "$work/block-blkback"
sed -i 's/flock -s -w 5 8/flock -s -w 1 8/' "$work/block-blkback"
check "a disk is attached" attach xvda "$image"
hung=$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")
check "... whose worker is stopped" stop_worker "$hung"
is "$(script=$work/block-blkback hotplug remove 2>/dev/null; echo $?)" 1 "one that cannot be killed: remove fails"
like "$(node hotplug-error)" "*cannot be ended*storage hangs*" "... says so"
like "$(node hotplug-status) $(node physical-device-id)" "error file *" "... and the image is still claimed"
kill -KILL "$hung"
XENSIM_STATE_SECONDS=1 detach xvda --force

# ---- data that is lost
check "a disk is attached" tripping attach xvda "$image"
guest_open
tell "write 0 8 pattern=1"
check "a guest writes" hear "write 0 8: status 0"
trip TRIP_FDATASYNC
guest_close
untrip TRIP_FDATASYNC
exits 1 "data may be lost: remove fails" hotplug remove
like "$(node hotplug-error)" "*data the guest wrote may be lost" "... and keeps the worker's word"
is "$(node hotplug-status)$(node physical-device-id)" error "... the image is free"
withdraw
check "attached anew, the disk is good" attach xvda "$image"
is "$(node data-lost)$(node hotplug-error)" "" "... and nothing is lost"
check "the disk detaches" detach xvda
rm -f "$images/new
line"
assert_clean killed
done_testing
