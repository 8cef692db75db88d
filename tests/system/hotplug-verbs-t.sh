#!/bin/bash
# The hotplug script: what params may be, that both verbs can be repeated, and that every refusal is one
# sentence where libxl looks for it.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

node() {
    xenstore-read "$be/$1" 2>/dev/null
}

# Make the directories as libxl does, with these params, without any worker.
offer() {
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1"
}

# Names of files may hold anything: xenstore-read quotes what is not ASCII unless told not to.
raw_node() {
    xenstore-read -R "backend/vbd/$domid/51712/$1"
}

image=$(new_image disk 1M)
ln -s disk "$images/link"
cp --sparse=always "$image" "$images/Größe und \\n.img"
for params in "$image" "raw:$image" "aio:$image" "$images/link" "$images/Größe und \\n.img"; do
    offer "$params"
    check "params '${params/$images/}' is served" hotplug add
    is "$(node hotplug-status) $(raw_node physical-device-path)" "connected ${params#???:}" "... under the name it was given"
    worker_pid=$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")
    check "add once more" hotplug add
    is "$(cat "$BLKBACK_RUNDIR/vbd-5-51712.pid")" "$worker_pid" "... changes nothing"
    check "remove" hotplug remove
    is "$(node hotplug-status)$(node physical-device-path)$(node hotplug-error)" "" "... takes back what add wrote"
    is "$(node state)" 6 "... and leaves the disk Closed"
    check "remove once more" hotplug remove
    withdraw
done

while read -r params pattern; do
    params=${params//IMAGE/$image}
    offer "${params#EMPTY}"
    exits 1 "params '${params/$images/}' is refused" hotplug add
    is "$(node hotplug-status)" error "... hotplug-status says so"
    # shellcheck disable=SC2254 # a pattern is meant
    like "$(node hotplug-error)" "$pattern" "... hotplug-error says why"
    is "$(node hotplug-error | wc -l)" 1 "... in one line"
    is "$(find "$BLKBACK_RUNDIR" -name '*.pid' 2>/dev/null)" "" "... and no worker was started"
    withdraw
done <<'TABLE'
vhd:IMAGE format 'vhd'*only raw images*
qcow2:IMAGE format 'qcow2'*only raw images*
EMPTY no image is named*
raw: ''*absolute path*
images/disk 'images/disk'*absolute path*
raw:images/disk 'images/disk'*absolute path*
/nowhere/disk '/nowhere/disk'*No such file*
TABLE

offer "$image" --set=mode=x
exits 1 "an unknown mode is refused" hotplug add
like "$(node hotplug-error)" "mode 'x'*" "... by name"
xenstore-write "$be/mode" w
check "and when that is put right, add works" hotplug add
is "$(node hotplug-status)$(node hotplug-error)" connected "... and the error is gone"
withdraw
xenstore-rm /local/domain/0/backend
exits 1 "add for a disk that is not there fails" hotplug add
refuses "... and makes no directory" xenstore-exists "$be"
check "remove for a disk that is not there succeeds" hotplug remove
assert_clean
done_testing
