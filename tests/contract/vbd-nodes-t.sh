#!/bin/bash
# xensim vbd-attach writes what libxl 4.17 writes for a disk with script= (nodes, values, permissions,
# its own copy), and vbd-detach leaves nothing of it.
set -u
# No nodes but libxl's.
unset XENSIM_NODES
echo "1..4"

# A directory with all below it: path, value and permissions.
tree() {
    xenstore-ls -fp / | grep "^$1[ /]" | sed 's/  *\. [ .]*(/ (/; s/ = /=/; s/  */ /g' | sort
}

check() { # name, actual, expected
    nr=$((${nr:-0} + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
    else
        echo "not ok $nr - $1"
        printf '%s\n' "is:" "$2" "should be:" "$3" | sed 's/^/# /'
    fi
}

backend_keys='bootable="1"
dev="xvda"
device-type="disk"
discard-enable="1"
frontend="/local/domain/5/device/vbd/51712"
frontend-id="5"
mode="w"
online="1"
params="dummy:/tmp/f.img"
removable="0"
script="/etc/xen/scripts/block-dummy"
specification="xen"
state="1"
type="phy"'

expected() { # directory, permissions, keys
    { echo "=\"\" ($2)" && printf '%s\n' "$3" | sed "s|^|/|; s|\$| ($2)|"; } | sed "s|^|$1|" | sort
}

xensim domain-create 5 || exit 1
xensim vbd-attach --no-script --script=/etc/xen/scripts/block-dummy 5 xvda dummy:/tmp/f.img || exit 1

dir=/local/domain/0/backend/vbd/5/51712
check "backend directory" "$(tree $dir)" "$(expected $dir n0,r5 "$backend_keys")"

dir=/local/domain/5/device/vbd/51712
check "frontend directory" "$(tree $dir)" "$(expected $dir n5,r0 'backend="/local/domain/0/backend/vbd/5/51712"
backend-id="0"
device-type="disk"
state="1"
trusted="1"
virtual-device="51712"')"

dir=/libxl/5/device/vbd/51712
check "libxl's copy" "$(tree $dir)" "$(expected $dir n0 "$backend_keys
backend=\"/local/domain/0/backend/vbd/5/51712\"")"

# A backend that closes when it is told to.
state=/local/domain/0/backend/vbd/5/51712/state
exec 3< <(exec xenstore-watch $state)
watcher=$!
while read -r _ <&3; do
    [ "$(xenstore-read $state)" != 5 ] || { xenstore-write $state 6 && break; }
done &
backend=$!
xensim vbd-detach --no-script 5 51712
check "detached" "$? $(xenstore-ls -f / | grep -c 51712)" "0 0"
kill $watcher
wait $backend
xensim domain-destroy 5
