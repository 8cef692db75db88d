#!/bin/bash
# Whatever is run for a QEMU: blkback-drive-args ends in time, with a sentence and the right exit code, and
# leaves nothing running (B34). The options it prints are those of the one it has asked.
set -u
cd "$(dirname "$0")/../.." || exit 2

program=$(readlink -f "${BLKBACK_BUILD:-build/default}/bin/blkback-drive-args")
help=$(readlink -f tests/bridge/help)
dir=$(mktemp -d "${TMPDIR:-/tmp}/probe.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
# Nobody writes to it: a read of it does not end.
mkfifo never
nr=0

# ok NAME COMMAND...
ok() {
    local name=$1

    nr=$((nr + 1))
    shift
    "$@" || printf 'not '
    echo "ok $nr - $name"
}

# qemu NAME: a program of that name from standard input
qemu() {
    { echo "#!/bin/bash" && cat; } >"$1" && chmod +x "$1"
}

# answers CODE TEXT ARGUMENT...: that exit code, and a sentence that has the text
answers() {
    local code=$1 text=$2 got

    shift 2
    "$program" "$@" >out 2>err
    got=$?
    [ "$got" = "$code" ] && grep -q -F -e "$text" err && return
    echo "# exit code $got, $(cat err)"
    return 1
}

# prints TEXT ARGUMENT...: those words, joined
prints() {
    local text=$1 got

    shift
    got=$("$program" "$@" 2>err | paste -s -d ' ')
    [ "$got" = "$text" ] && return
    echo "# $got; $(cat err)"
    return 1
}

# ---- no QEMU --------------------------------------------------------------------------------------

ok "not there" answers 4 "there is no program './absent'" a.img none ./absent
: >plain
ok "not to be executed" answers 4 "Permission denied" a.img none ./plain
chmod +x plain
ok "not a program" answers 4 "running './plain -help'" a.img none ./plain
ok "another program" answers 4 "not a QEMU" a.img none true
qemu dies <<<'kill -SEGV $$'
ok "dies" answers 4 "'./dies -help' was ended by signal 11" a.img none ./dies
qemu silent <<<'exit 0'
ok "says nothing" answers 4 "not a QEMU" a.img none ./silent

# ---- no end ---------------------------------------------------------------------------------------

# Whoever holds the fifo open for writing is there; all of them have to be gone.
qemu hangs <<<'exec 9<>never; read -r <&9'
ok "hangs" answers 4 "'./hangs -help' has not ended in time" -t 1 a.img none ./hangs
qemu hangs-later <<EOF2
[ "\$1" = -help ] && cat $help/qemu-7.2.txt && exit
exec 9<>never; read -r <&9
EOF2
ok "hangs when it is asked for its devices" answers 4 "'./hangs-later -device' has not ended" -t 1 a.img none ./hangs-later
qemu closes <<<'exec >&- 2>&-; exec 9<>never; read -r <&9'
ok "closes its output and hangs" answers 4 "has not ended in time" -t 1 a.img none ./closes
qemu obstinate <<<'trap "" TERM INT HUP; exec 9<>never; while :; do read -r <&9; done'
ok "ignores signals" answers 4 "has not ended in time" -t 1 a.img none ./obstinate
# The child of its own keeps the pipe open.
qemu leaves <<EOF2
(exec 9<>never; read -r <&9) &
[ "\$1" = -help ] && cat $help/qemu-0.11.txt
EOF2
ok "leaves a process behind that keeps its output" prints "-drive file=a.img,if=ide,format=raw,cache=none" -t 60 a.img none ./leaves
qemu floods <<<'exec cat /dev/zero'
ok "says more than anybody wants to know" answers 4 "says more than" a.img none ./floods

# Of them all nothing is left: who has the fifo?
holders() {
    local fd found=1

    for fd in /proc/[0-9]*/fd/*; do
        [ "$fd" -ef never ] || continue
        echo "# still there: $fd"
        found=0
    done
    return $found
}
gone() {
    ! holders
}
ok "nothing of them is left" gone

# A QEMU that is told to quit does so at once, whatever its reader has not taken yet. This one does not end by
# itself, and says all only if it is not told to quit: more than a pipe holds, and the last of it byte by byte.
says_all() {
    cat <<EOF2
case \$1 in
    -help) cat $help/qemu-7.2.txt ;;
    -device) cat $help/qemu-7.2.devices.txt ;;
    *)
        mapfile -t asked
        answer=\$(grep -v '^#' $help/qemu-7.2.qmp.txt)
        [[ "\${asked[*]}" != *quit* ]] || { echo "\${answer::\${#answer} / 2}"; exit; }
        printf '{"event": "NOTHING", "nr": %d}\0\n' {1..8000}
        echo "\$answer"
        last='{"return": {}, "id": '\${asked[-1]##*\\"id\\": }
        for ((i = 0; i < \${#last}; i++)); do printf '%s' "\${last:i:1}"; done
        $1
        ;;
esac
EOF2
}
all="-blockdev driver=raw,node-name=blkback0,cache.direct=on,cache.no-flush=off,file.driver=file,file.filename=a.img,file.locking=on -device ide-hd,drive=blkback0,write-cache=off"
says_all 'exec 9<>never; read -r <&9' | qemu stays
ok "all of a long answer is waited for" prints "$all" --blockdev --lock -t 60 a.img directsync ./stays
ok "... and then it is ended" gone
# shellcheck disable=SC2016 # its own number
says_all 'kill -SEGV $$' | qemu dies-afterwards
ok "how it ends then does not matter" prints "$all" --blockdev --lock -t 60 a.img directsync ./dies-afterwards
qemu hangs-last <<EOF2
case \$1 in
    -help) cat $help/qemu-7.2.txt ;;
    -device) cat $help/qemu-7.2.devices.txt ;;
    *) grep -v '^#' $help/qemu-7.2.qmp.txt; exec 9<>never; read -r <&9 ;;
esac
EOF2
ok "half an answer is none" answers 4 "'./hangs-last -machine' has not answered in time" -t 1 --lock a.img none ./hangs-last

# ---- what a QEMU inherits -------------------------------------------------------------------------

qemu looks <<EOF2
ls -l /proc/self/fd >fds.\$\$
cat $help/qemu-0.11.txt
EOF2
"$program" a.img none ./looks >/dev/null 2>&1 7</dev/null 8</dev/null
no_more() {
    local file

    for file in fds.*; do
        ! grep -E ' (7|8) -> ' "$file" || return 1
    done
}
ok "no descriptor of ours" no_more
qemu blanks <<EOF2
[ "\$#" = 1 ] && cat $help/qemu-0.11.txt
EOF2
# shellcheck disable=SC2016 # a name
mv blanks 'with blanks; $(touch shell)'
# shellcheck disable=SC2016 # a name
ok "no shell" prints "-drive file=a.img,if=ide,format=raw,cache=none" a.img none './with blanks; $(touch shell)'
ok "... not even a little" test ! -e shell

# ---- which one is asked for what ------------------------------------------------------------------

qemu old <<EOF2
echo "\$*" >>asked
cat $help/qemu-0.11.txt
exit 1
EOF2
ok "0.11, whose help is an error" prints "-drive file=a.img,if=ide,format=raw,cache=writethrough" a.img writethrough ./old
ok "an old one is asked for nothing it does not know" test "$(cat asked)" = -help
ok "what it lacks is said" answers 3 "cannot open a disk in mode directsync" a.img directsync ./old
ok "what stands for it is said" answers 0 "'./old' has no mode unsafe: writeback, which is safer" a.img unsafe ./old
qemu ancient <<EOF2
cat $help/qemu-2007-hda.txt
EOF2
ok "2007" prints "-hda a,b.img" a,b.img writeback ./ancient
ok "... guesses, which is said" answers 0 "cannot be told that the image is raw" a.img writeback ./ancient

# A QEMU of today, whose every answer is recorded; some do not start without an accelerator.
qemu today <<EOF2
case \$1 in
    -help) cat $help/qemu-7.2.txt ;;
    -device) cat $help/qemu-7.2.devices.txt ;;
    -machine) [ "\$2" = none ] && grep -v '^#' $help/qemu-7.2.qmp.txt ;;
esac
EOF2
ok "7.2" prints "$all" --blockdev --lock a.img directsync ./today
# Its QMP dies: what only the schema tells is not there, the rest is.
qemu crippled <<EOF2
case \$1 in
    -help) cat $help/qemu-7.2.txt ;;
    -device) cat $help/qemu-7.2.devices.txt ;;
    *) echo "No accelerator" >&2; exit 1 ;;
esac
EOF2
ok "7.2 that does not start" prints "-drive file=a.img,if=ide,format=raw,cache=none" a.img none ./crippled
ok "... cannot be told to lock, for all we know" answers 3 "be told to lock" --lock a.img none ./crippled

# ---- output ---------------------------------------------------------------------------------------

json='{"qemu":"./old","offers":["-hda","-drive","-drive cache=none","-drive cache=writethrough","-drive cache=writeback","-drive format=raw"],"wanted":"none","mode":"none","arguments":["-drive","file=a.img,if=ide,format=raw,cache=none"],"guesses_format":false}'
ok "JSON" prints "$json" --json a.img none ./old
"$program" --json a.img directsync ./old >out 2>/dev/null
ok "JSON of a refusal" grep -q '"wanted":"directsync","refused":"this QEMU cannot' out
null() {
    printf -- '-drive\0file=a\nb,if=ide,format=raw,cache=none\0' | cmp - <("$program" --null $'a\nb' none ./old)
}
ok "a NUL behind each" null
full() {
    "$program" a.img none ./old >/dev/full 2>err
    [ $? = 1 ]
}
ok "an output that is full is no success" full

# ---- usage ----------------------------------------------------------------------------------------

ok "no image" answers 2 "an image and a cache mode"
ok "no mode" answers 2 "an image and a cache mode" a.img
ok "too much" answers 2 "an image and a cache mode" a.img none ./old more
ok "not a mode" answers 2 "not a cache mode: fast" a.img fast
ok "not an interface" answers 2 "not ide, scsi, virtio or none: usb" -i usb a.img none
ok "not a timeout" answers 2 "a timeout is" -t 0 a.img none
ok "not an id" answers 2 "no id of a drive" -n 1,2 a.img none ./old
ok "not an option" answers 2 "not an option" -x a.img none
ok "a comma too many" answers 2 "a comma too many" -w ,file=a none ./old
ok "rewriting" prints "file=/a,,b,if=ide,cache=none" --rewrite "file=/a,,b,if=ide,cache=writeback" none ./old
echo "1..$nr"
