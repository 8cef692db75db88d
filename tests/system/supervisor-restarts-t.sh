#!/bin/bash
# A worker that is killed is started again; one that always dies is given up, visibly, and tried again on SIGHUP or
# when its disk comes back. The worker of a disk in use that is killed keeps the host clean and can be detached.
# shellcheck source=tests/lib/supervisor.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/supervisor.sh"

# A worker that dies as it is told, or is a good one; or one that has ended and takes its time to be gone.
fate=$work/fate
mkfifo "$work/go"
cat >"$work/moody-worker" <<END
#!/bin/sh
read -r code <$fate
case \$code in
good) exec blkback-vbd "\$@" ;;
lingers) blkback-vbd "\$@"; code=\$?; read -r _ <$work/go ;;
esac
exit "\$code"
END
chmod +x "$work/moody-worker"
rules=("worker = $work/moody-worker" "restart-delay-min = 10ms" "restart-delay-max = 20ms" "restart-limit = 4")

# reload LINE...: with that configuration
reload() {
    configure "$@"
    kill -HUP "$supervisor"
    told "READY=1"
}

# hurt N: kill the worker of xvda; returns when the log has its Nth restart
hurt() {
    kill -KILL "$(started vbd-5-51712)"
    logged "*vbd-5-51712: worker * started" $(($1 + 1))
}

echo good >"$fate"
configure "${rules[@]}"
image=$(new_image disk 1M)
check "blkbackd runs" supervise
check "the disk attaches" plug xvda "$image"
check "its worker is killed, and started again" hurt 1
check "the status is told" await "$be/worker-status" running
check "one line says so" logged "*warning: vbd-5-51712: worker * was killed by signal 9 (Killed); another is started in 10 ms"
check "the new worker serves the disk" guest_io "write 0 8 pattern=1" "read 0 8 expect=1"
check "killed again, the delay has doubled" hurt 2
check "..." logged "*another is started in 20 ms"
check "... and again, it is the longest" hurt 3
check "..." logged "*another is started in 20 ms" 2
kill -KILL "$(started vbd-5-51712)"
check "the fourth time it is given up" await "$be/worker-status" failed
check "... which one line says" logged "*error: vbd-5-51712: worker * was killed by signal 9 (Killed), the last of 4 failures within 60 s: given up until *"
is "$(xenstore-read "$be/hotplug-error" 2>&1)" "xenstore-read: couldn't read path $be/hotplug-error" \
    "hotplug-error is not written: the script had succeeded"
check "the service manager is told" told "STATUS=0 disks served, 0 ending, 0 waiting for a restart, 1 given up"

check "SIGHUP tries again" reload "${rules[@]}"
check "the disk is served" await "$be/worker-status" running
check "a guest uses it" guest_io "read 0 8 expect=1"

echo "# a worker that never starts"
echo 1 >"$fate"
check "a second disk is made" xensim vbd-attach --no-script --script="$script" 5 xvdb "$(new_image two 1M)"
two=/local/domain/0/backend/vbd/5/51728
check "it is given up" await "$two/worker-status" failed
like "$(xenstore-read "$two/hotplug-error")" "worker * exited with code 1 (failure), the last of 4 failures*" \
    "libxl finds the reason in hotplug-error"
echo good >"$fate"
check "a given-up disk can be detached: a worker closes it" detach xvdb
check "attached again it is served" plug xvdb "$images/two"
check "it detaches" detach xvdb
echo 1 >"$fate"
check "once more it is made" xensim vbd-attach --no-script --script="$script" 5 xvdb "$images/two"
check "and given up" await "$two/worker-status" failed
echo lingers >"$fate"
check "it is detached; the process that closed it is still there" detach xvdb
echo good >"$fate"
launch plug xvdb "$images/two"
check "it is made anew" await "$two/state" 1
echo >"$work/go"
exits 0 "when that process is gone, it is served" ended "$launched"
check "it detaches" detach xvdb

echo "# ends that are no reason to try again"
echo 5 >"$fate"
check "a third disk is made" xensim vbd-attach --no-script --script="$script" 5 xvdc "$(new_image three 1M)"
three=/local/domain/0/backend/vbd/5/51744
check "code 5 is given up at once" await "$three/worker-status" failed
like "$(xenstore-read "$three/hotplug-error")" "worker * exited with code 5 (storage cannot be served): given up*" \
    "... and told"
is "$(count "*vbd-5-51744: worker * started")" 1 "it was tried once"
echo 0 >"$fate"
check "SIGHUP tries again" reload "${rules[@]}"
check "code 0 is what somebody wanted" logged "*vbd-5-51744: worker * exited with code 0*"
check "a worker that is no program is given up" reload "worker = $work/none" "${rules[@]:1}"
check "... and the message names it" logged "*error: vbd-5-51744: worker '$work/none' cannot be started: No such file or directory, the last of 4 *"
check "the status is told" await "$three/worker-status" failed
echo good >"$fate"
check "with a good one it is served" reload "${rules[@]}"
check "..." await "$three/state" 2
check "it detaches" detach xvdc

echo "# a disk in use"
worker=$(worker_of vbd-5-51712)
guest_open
tell "write 0 8 pattern=2"
check "a guest writes" hear "write 0 8: status 0"
before=$(count "*vbd-5-51712: worker * started")
kill -KILL "$worker"
check "its worker is killed: another is started" logged "*vbd-5-51712: worker * started" $((before + 1))
guest_kill
check "the disk can be detached" detach xvda --force
check "blkbackd forgets it" told "STATUS=0 disks served, 0 ending, 0 waiting for a restart, 0 given up"
exits 0 "blkbackd ends with 0" unsupervise
assert_clean killed
done_testing
