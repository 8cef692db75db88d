#!/bin/bash
# A guest waits for its disk as long as the hotplug script takes, and that is the number of its commands, each of which is a
# process: how many there are to add a disk, to a worker of its own and to blkbackd's, and that other disks, however many, are
# one more.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

export COMMANDS=$work/commands
mkdir "$work/bin"
# Each command says its name and becomes what it is called.
cat >"$work/bin/any" <<'ANY'
#!/bin/sh
echo "${0##*/}" >>"$COMMANDS"
PATH=${PATH#*:}
exec "${0##*/}" "$@"
ANY
chmod +x "$work/bin/any"
for name in xenstore-exists xenstore-read xenstore-write xenstore-rm xenstore-list xenstore-watch flock stat timeout \
    mkdir rm grep sed tr cat readlink blkback-vbd; do
    ln "$work/bin/any" "$work/bin/$name"
done
# Of that name: it knows its like by it.
cat >"$work/block-blkback" <<COUNTED
#!/bin/sh
PATH=$work/bin:\$PATH exec $script "\$@"
COUNTED
chmod +x "$work/block-blkback"

# costs N NAME [OPTION...]: xvda attaches with at most N commands, whose names go to the log; then it goes
costs() {
    : >"$COMMANDS"
    check "$2" xensim vbd-attach "${@:3}" --script="$work/block-blkback" "$domid" xvda "$image"
    say "$(sort "$COMMANDS" | uniq -c | tr -s ' \n' ' ')"
    [ "$(wc -l <"$COMMANDS")" -le "$1" ]
    ok $? "... with at most $1 commands"
    detach xvda
}

image=$(new_image disk 1M)
mkdir "$BLKBACK_RUNDIR"
costs 15 "a disk is attached, and its worker started"
for id in 21 22 23 24 25; do
    for devid in 51712 51728; do
        dir=/local/domain/0/backend/vbd/$id/$devid
        xenstore-write "$dir/state" 4 "$dir/mode" w "$dir/physical-device-id" "file $id:$devid"
    done
done
costs 16 "ten others have disks"
check "blkbackd runs" supervise
costs 17 "a disk is attached to blkbackd's worker" --wait-initwait
xenstore-rm /local/domain/0/backend/vbd
exits 0 "blkbackd ends with 0" unsupervise
assert_clean
done_testing
