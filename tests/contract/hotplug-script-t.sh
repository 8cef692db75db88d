#!/bin/sh
# xensim runs a hotplug script as libxl does: arguments, environment, `add` and `remove`, and what it
# tells when the script fails.
set -u
echo "1..5"
nr=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/hotplug.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

check() { # name, actual, expected
    nr=$((nr + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
    else
        echo "not ok $nr - $1"
        printf '%s\n' "is:" "$2" "should be:" "$3" | sed 's/^/# /'
    fi
}

cat >"$dir/good" <<END
#!/bin/sh
echo "\$@ \$script \$XENBUS_TYPE \$XENBUS_PATH \$XENBUS_BASE_PATH" >>"$dir/log"
[ "\$1" = remove ] || xenstore-write "/local/domain/0/\$XENBUS_PATH/state" 6
END
cat >"$dir/bad" <<'END'
#!/bin/sh
xenstore-write "/local/domain/0/$XENBUS_PATH/hotplug-error" "no such storage"
exit 1
END
chmod +x "$dir/good" "$dir/bad"

xensim domain-create 5 || exit 1
xensim vbd-attach --script="$dir/good" 5 xvda /some/file
check "add" "$? $(cat "$dir/log")" "0 add $dir/good vbd backend/vbd/5/51712 backend"
: >"$dir/log"
xensim vbd-detach 5 xvda
check "remove" "$? $(cat "$dir/log")" "0 remove $dir/good vbd backend/vbd/5/51712 backend"

message=$(xensim vbd-attach --script="$dir/bad" 5 xvdb /some/file 2>&1)
check "the script's own words" "$? ${message##*: }" "1 no such storage"
# As with xl, a device that failed to attach stays until it is detached.
check "it stays" "$(xenstore-read /local/domain/0/backend/vbd/5/51728/dev)" xvdb
xenstore-write /local/domain/0/backend/vbd/5/51728/state 6
message=$(xensim vbd-attach --script="$dir/absent" 5 xvdc /some/file 2>&1)
check "no script" "$? $(printf '%s\n' "$message" | grep -c 'cannot run')" "1 1"
xenstore-write /local/domain/0/backend/vbd/5/51744/state 6
xensim domain-destroy 5 2>/dev/null
