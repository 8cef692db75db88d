#!/bin/bash
# The demo when the guest's driver never gets ready: it says so, ends what it started, and ends. And it stops
# no simulated host but its own.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

undo() {
    [ ! -e "$work/nbdkit" ] || kill -KILL "$(cat "$work/nbdkit")" 2>/dev/null
}

# The demo of a small tree, with shorter deadlines. Its build is not there at first.
mkdir -p "$work/tree/tools" "$work/bin"
sed 's/^ready_seconds=.*/ready_seconds=1/; s/^end_seconds=.*/end_seconds=1/; s/^disk_mib=.*/disk_mib=16/' \
    "$tree/tools/demo.sh" >"$work/tree/tools/demo.sh"
cp "$script" "$work/tree/tools"
said=$(BLKBACK_BUILD=$work/none sh "$work/tree/tools/demo.sh" 2>&1)
like "$?$said" "1*run make first*" "without a build it fails"
check "... and our host runs on" xenstore-exists /local/domain/5

mkdir "$work/build" "$work/none"
ln -s "$BLKBACK_BUILD/bin" "$BLKBACK_BUILD/lib" "$work/build"
# Neither ready nor ended, and hard of hearing.
cat >"$work/bin/nbdkit" <<END
#!/bin/sh
trap '' TERM
echo \$\$ >"$work/nbdkit"
while :; do read -r _ <"$work/alive"; done
END
chmod +x "$work/bin/nbdkit"
said=$(PATH=$work/bin:$PATH BLKBACK_BUILD=$work/build timeout "$deadline" sh "$work/tree/tools/demo.sh" 2>&1)
like "$?$said" "1*FAILED while connecting the frontend*nbdkit is not ready after 1 seconds*" "nbdkit is never ready: it says so and ends"
refuses "... and so does nbdkit" kill -0 "$(cat "$work/nbdkit")"
check "... and our host runs on" xenstore-exists /local/domain/5
assert_clean
done_testing
