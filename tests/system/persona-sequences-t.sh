#!/bin/bash
# Drivers one after another on one disk that is never detached: GRUB then Linux, OVMF then Windows then Linux, kexec, all
# twice; and each killed behind every step of its beginning and of its end, with another one taking over. Every driver
# reads what the one before it has written.
# shellcheck source=tests/lib/persona.sh disable=SC2119,SC2317 # functions called by check
. "$(dirname "$0")/../lib/persona.sh"

# turn KIND [COMMAND...]: a driver's life: it reads what the last one wrote, over 1000 sectors at another place each
# time, writes its own, and does the rest.
turn=0
turn() {
    local kind=$1 here=$((turn * 500 % 30000))

    turn=$((turn + 1))
    persona "$kind" start "read $here 1000 seed:$((turn - 1))" \
        "write $((turn * 500 % 30000)) 1000 seed:$turn" sync "${@:2}"
}

# steps KIND: of its beginning, of its end
steps() {
    persona "$1" info | sed -n 's/.* steps=\([0-9]*\),\([0-9]*\)$/\1 \2/p'
}

# cut_short KIND WHAT STEPS: it is killed behind so many of them
cut_short() {
    if [ "$2" = start ]; then
        persona "$1" "start $3" die
    else
        persona "$1" start "stop $3" die
    fi
    [ $? -eq 137 ]
}

# takes_over KIND: a driver of that kind begins from here, whatever has been: three ask for nothing
takes_over() {
    case $1$(xenstore-read "$fe/state" "$be/state" | paste -sd' ') in
        windows* | grub* | minios* | 'linux1 '* | 'linux6 '* | 'linux4 4') ;;
        *) return 1 ;;
    esac
}

image=$(new_image disk 16M)
check "the disk is served" serve "$image"
check "an installer writes" persona linux start "write 0 1000 seed:0" sync stop
check "... the next driver starts anew" soft_reset

for round in 1 2; do
    check "round $round: GRUB" turn grub stop
    check "... hands over" handed_over
    check "... to Linux" turn linux stop
    check "... and that to another, by kexec" turn linux stop
    check "... the guest starts anew" soft_reset
    check "... OVMF" turn ovmf stop
    check "... hands over" handed_over
    check "... to Windows" turn windows suspend resume stop
    check "... and that to Linux" turn linux suspend resume stop
    check "... the worker has let go of everything" eventually let_go
    check "... the guest starts anew" soft_reset
    check "... as mini-os" turn minios stop
    check "... the guest starts anew" soft_reset
done

# Whoever is killed has granted nothing any more: its keys may be refused, and the next one comes to a backend that is
# Connected, Closing or Closed.
next=(windows grub linux ovmf minios)
i=0
for kind in linux windows ovmf grub minios; do
    read -r starts stops < <(steps "$kind")
    failures=
    while read -r what n; do
        heir=${next[i++ % 5]}
        soft_reset || failures="$failures; before $what $n: no InitWait"
        cut_short "$kind" "$what" "$n" || failures="$failures; $what $n: not killed but ended"
        takes_over "$heir" || soft_reset || failures="$failures; $what $n: no InitWait"
        turn "$heir" stop || failures="$failures; $what $n: $heir does not get the disk"
    done < <(seq -f "start %g" "$starts"; seq -f "stop %g" "$stops") 2>>"$work/killed"
    cat "$work/killed" >&2
    is "$failures" "" "$kind, killed behind each of its $starts + $stops steps, is followed by another"
done
check "the disk detaches" detach xvda
exits 0 "the worker ends with 0" ended "$worker"
assert_clean
done_testing
