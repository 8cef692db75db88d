#!/bin/bash
# The device model's wrapper: what it changes on a command line of libxl's, for whom it waits, what is in the page cache when the device model
# starts, and what it refuses. The device model that shows its words here is a QEMU as far as questions go.
# shellcheck source=tests/lib/guest.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/guest.sh"

qemu=$(command -v qemu-system-x86_64 || command -v qemu-system-i386) || skip_all "there is no QEMU"
loop_device=
undo() {
    [ -z "$loop_device" ] || losetup -d "$loop_device" 2>/dev/null
}

cat >"$work/shows" <<END
#!/bin/sh
case " \$* " in
    *" -help "*) exec "$qemu" "\$@" ;;
esac
pagecache "\$WATCHED" >"$work/pages"
printf '%s\n' "\$@" >"$work/words"
END
chmod +x "$work/shows"
printf '[blkbackd]\ndevice-model = %s\n' "$work/shows" >"$work/conf"

# As libxl does it: dm WORD...
dm() {
    rm -f "$work/words"
    env -u LD_PRELOAD blkback-qemu-dm "$@" 2>"$work/said" >&2 || { cat "$work/said" >&2 && return 1; }
}

# libxl_words DOMID IMAGE: what libxl 4.17 passes for a guest with one disk and an empty CD drive
libxl_words() {
    words=(-xen-domid "$1" -no-shutdown
        -chardev "socket,id=libxl-cmd,path=$work/libxl,server=on,wait=off" -mon "chardev=libxl-cmd,mode=control"
        -nodefaults -no-user-config -name -hda -vnc none -m 256
        -drive "file=${2//,/,,},if=ide,index=0,media=disk,format=raw,cache=writeback"
        -drive "if=none,readonly=on,id=ide-5632" -device "ide-cd,id=ide-5632,drive=ide-5632,bus=ide.1,unit=0"
        -no-such-option-yet=1)
}

monitor() {
    printf '%s\n' -chardev "socket,id=blkback-qmp,path=$BLKBACK_RUNDIR/qmp-$1,server=on,wait=off" -mon "chardev=blkback-qmp,mode=control"
}

# changed IMAGE MODE: the words that have become of libxl_words
changed() {
    printf '%s\n' "${words[@]}" | sed "s|^\(file=.*\),cache=writeback$|\1,cache=$1|"
    monitor 5
}

# The drive of -drive as it is now
drive_now() {
    grep '^file=' "$work/words"
}

image=$(new_image "ä, b" 8M)
export BLKBACK_CONFIG=$work/conf WATCHED=$image

# ---- an image that somebody keeps (to be gone on with at the end) ----------------------------------------------

kept=$(new_image kept 1M)
mkfifo "$work/keeper.in"
env -u LD_PRELOAD qemu-io -f raw "$kept" <"$work/keeper.in" >"$work/keeper" 2>&1 &
keeper=$!
exec {keep}>"$work/keeper.in"
echo length >&"$keep"
check "somebody has an image" await_line "$work/keeper" "1 MiB"
check "a disk on it" attach xvdb "$kept"
env -u LD_PRELOAD blkback-qemu-dm -xen-domid 5 -drive "file=$kept,if=ide" 2>"$work/refused" &
refused=$!

# ---- what is not ours --------------------------------------------------------------------------------

libxl_words 5 "$image"
check "without a disk of ours it starts" dm "${words[@]}"
is "$(cat "$work/words")" "$(printf '%s\n' "${words[@]}")" "... and no word has changed"
is "$(cat "$work/said")" "" "... nor is one said"
check "without a domain it starts" dm -version
is "$(cat "$work/words")" "-version" "... with what it was given"

# ---- each mode -----------------------------------------------------------------------------------------

# Through the page cache in any case: QEMU has the guest's pages in a way that direct I/O does not take.
while read -r mode cached; do
    check "a disk with cache=$mode" serve "${image//,/,,},cache=$mode"
    libxl_words 5 "$image"
    check "... its device model starts" dm "${words[@]}"
    is "$(cat "$work/words")" "$(changed "$cached")" "... with cache=$cached, a monitor, and nothing else"
    check "... it detaches" detach xvda
    exits 0 "... its worker ends" ended "$worker"
done <<'TABLE'
none writeback
directsync writethrough
writethrough writethrough
writeback writeback
unsafe unsafe
TABLE
rm "$log"
check "one without flushes and barriers" serve "${image//,/,,},cache=writeback,features-off=flush-cache+barrier"
check "... its device model starts" dm "${words[@]}"
is "$(cat "$work/words")" "$(changed writethrough)" "... and writes through, as the worker does"

# ---- other names, other options --------------------------------------------------------------------------

ln -s "$image" "$images/link"
check "a link to the image" dm -xen-domid 5 -drive "file=$images/link,if=scsi"
is "$(drive_now)" "file=$images/link,if=scsi,cache=writethrough" "... is the image"
like "$(cat "$work/said")" "*there is no QMP monitor for blkback*" "... a toolstack without a monitor is told of"
check "-hda" dm -xen-domid 5 -hda "$image"
is "$(drive_now)" "file=${image//,/,,},index=0,media=disk,cache=writethrough" "... becomes the same as a -drive"
check "-blockdev" dm -xen-domid 5 -blockdev "driver=raw,node-name=a,file.driver=file,file.filename=${image//,/,,}"
is "$(grep -c '^driver=raw,node-name=a,file.driver=file' "$work/words")" 1 "... stays as it is"
like "$(cat "$work/said")" "*'$image'*serves with cache=writethrough, is opened as its -blockdev says: see blkback-drive-args(8)*" "... with a warning"
check "another image" dm -xen-domid 5 -drive "file=$work/shows,if=ide,cache=writeback"
is "$(drive_now)" "file=$work/shows,if=ide,cache=writeback" "... is left alone"
check "the disk of another guest" dm -xen-domid 6 -drive "file=${image//,/,,},if=ide,cache=writeback"
is "$(drive_now)" "file=${image//,/,,},if=ide,cache=writeback" "... is left alone"
check "it detaches" detach xvda
exits 0 "... its worker ends" ended "$worker"

# ---- the page cache ------------------------------------------------------------------------------------------

check "a disk with cache=none" serve "${image//,/,,}"
check "somebody writes to it" dd if=/dev/zero of="$image" bs=64k count=2 conv=notrunc status=none
[ "$(pagecache "$image")" -gt 0 ]
ok $? "... through the page cache"
check "a device model starts" dm "${words[@]}"
is "$(cat "$work/pages")" 0 "... and nothing of it is in the page cache"

# ---- who has it ----------------------------------------------------------------------------------------------

guest_open
tell "write 0 8 pattern=3"
check "its guest is connected" hear "write 0 8: status 0"
env -u LD_PRELOAD blkback-qemu-dm "${words[@]}" 2>"$work/said" &
waiting=$!
# Once it has rewritten the options it waits for the image.
check "a device model is to start" await_line "$work/said" "is opened with cache=writeback"
[ ! -e "$work/words" ] || rm "$work/words"
tell "read 0 8 expect=3"
check "... the guest works meanwhile" hear "read 0 8: status 0 data ok"
[ ! -e "$work/words" ]
ok $? "... and the device model waits"
check "the guest leaves" guest_close
exits 0 "... then it starts" wait "$waiting"
check "a device model whose guest comes from elsewhere" dm "${words[@]}" -incoming defer
is "$(tail -n 2 "$work/words" | head -n 1)" "-mon" "... has its words"
guest_open
tell "read 0 8 expect=3"
check "a guest is connected again" hear "read 0 8: status 0 data ok"
check "... and comes from elsewhere: nobody waits" dm "${words[@]}" -incoming defer
check "... it leaves" guest_close

# ---- another way to its blocks ---------------------------------------------------------------------------------

if [ "$(id -u)" = 0 ] && loop_device=$(losetup --find --show "$image" 2>/dev/null); then
    refuses "a loop device over the image" dm -xen-domid 5 -drive "file=$loop_device,if=ide"
    like "$(cat "$work/said")" \
        "*'$loop_device' is another way to the blocks of '$image', which backend/vbd/5/51712 serves*the device model is not started*" "... and says why"
    losetup -d "$loop_device"
    loop_device=
else
    skip "a loop device over the image" "no loop device to be had"
fi

# ---- mistakes ------------------------------------------------------------------------------------------------------

refuses "a comma too many" dm -xen-domid 5 -drive ",file=${image//,/,,},if=ide"
check "... of another image is QEMU's to find" dm -xen-domid 5 -drive "file=/none,,,if=ide"
printf '[blkbackd]\ndevice-model = /no/such/program\n' >"$work/conf"
refuses "a device model that is not there" dm -xen-domid 5 -drive "file=${image//,/,,}"
like "$(cat "$work/said")" "*/no/such/program*" "... and says which"
refuses "... without a disk of ours, too" dm -version
like "$(cat "$work/said")" "*'/no/such/program' cannot be run: No such file or directory: name it in /etc/blkback/blkbackd.conf*" "... and says what to do"
printf '[blkbackd]\ndevice-model = %s\n' "$(command -v blkback-qemu-dm)" >"$work/conf"
refuses "the wrapper itself for a device model" dm -version
like "$(cat "$work/said")" "*there is no device model but this program*" "... and says so"
printf '[blkbackd]\nno-such-key = 1\ndevice-model = %s\n' "$work/shows" >"$work/conf"
dm -version
like "$(cat "$work/said")" "*no-such-key*the defaults hold instead*" "a configuration that is wrong is told of"
printf '[blkbackd]\ndevice-model = %s\n' "$work/shows" >"$work/conf"
refuses "without xenstore" env XENSTORED_PATH=/no/such/socket blkback-qemu-dm "${words[@]}"
check "... it starts what has no domain" env XENSTORED_PATH=/no/such/socket blkback-qemu-dm -version

# ---- many -----------------------------------------------------------------------------------------------------------

# As the toolstack, the script and a worker would have left them
many=()
for ((i = 0; i < 200; i++)); do
    disk=backend/vbd/7/$((268435456 + i * 256))
    xenstore-write "$disk/state" 2 "$disk/online" 1 "$disk/script" /etc/xen/scripts/block-blkback "$disk/mode" w \
        "$disk/physical-device-path" "$(new_image "many.$i" 1M)" "$disk/cache-mode-default" none
    many+=(-drive "file=$images/many.$i,if=none,id=d$i,format=raw,cache=none")
done
check "200 disks" dm -xen-domid 7 "${many[@]}"
is "$(grep -c '^file=.*,format=raw,cache=writeback$' "$work/words")" 200 "... all have their mode"
xenstore-rm backend/vbd/7

# ---- the image that somebody keeps ------------------------------------------------------------------------------------

exits 1 "who waits for an image that is not given up, waits no longer" wait "$refused"
like "$(cat "$work/refused")" "*'$kept', which backend/vbd/5/51728 serves: *in use by process $keeper (qemu-io*the device model is not started*" "... and says for whom"
echo quit >&"$keep"
exec {keep}>&-
wait "$keeper"
check "its disk detaches" detach xvdb

check "the disk detaches" detach xvda
exits 0 "... its worker ends" ended "$worker"
assert_clean
done_testing
