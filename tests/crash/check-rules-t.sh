#!/bin/bash
# The checker itself: small histories written by hand, a violation of each rule that it must find, and beside it the history
# as it should be, in which it must find nothing. What the lines mean is in crash_log.h; ticks are counted here.
set -u
cd "$(dirname "$0")/../.." || exit 1
PATH=${BLKBACK_BUILD:-$PWD/build/default}/bin:$PATH
work=$(mktemp -d "${TMPDIR:-/tmp}/check-rules.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
nr=0
nr_failed=0

verdict() {
    nr=$((nr + 1))
    [ "$1" = 0 ] && echo "ok $nr - $2" && return
    nr_failed=$((nr_failed + 1))
    echo "not ok $nr - $2"
    cat "$work/log" "$work/said" >&2
}

# The history is standard input, without ticks, steps divided by semicolons or line ends.
judge() {
    tr ';' '\n' | sed 's/^ *//; /^$/d' | awk '{ print NR, $0 }' >"$work/log"
    crash-check --random=1000 --seed=1 "$work/log" >"$work/said" 2>&1
}

# violates RULE NAME
violates() {
    local status

    judge
    status=$?
    [ "$status" = 1 ] && grep -q -F "VIOLATION of rule ($1)" "$work/said"
    verdict $? "($1) $2"
}

keeps() {
    local status

    judge
    status=$?
    verdict "$status" "    $1"
}

# ---- a: flushes
violates a "a flush that is answered, and never was one" <<'END'
submit 1 0 write 0 2; write 1 0 2 volatile 1*2; end 1 0; answer 1 0; submit 2 0 flush 0 0; answer 2 0
END
keeps "... that was one" <<'END'
submit 1 0 write 0 2; write 1 0 2 volatile 1*2; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
END
violates a "one that began before the write had ended" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; flush 2; end 1 0; answer 1 0; submit 2 0 flush 0 0; end 2 0; answer 2 0
END
violates a "one that is answered before it has ended" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; answer 2 0; end 2 0
END
keeps "one is owed nothing that was not answered when it was asked for" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0; end 1 0; answer 1 0
END
violates a "half of a write is not made durable" <<'END'
submit 1 0 write 0 2; write 1 0 1 volatile 1*1; end 1 0; flush 2; end 2 0; write 3 1 1 volatile 1*1; end 3 0; answer 1 0
submit 2 0 flush 0 0; answer 2 0
END
violates a "an old write comes late, over a newer one that is safe" <<'END'
submit 1 0 write 0 1; answer 1 0; submit 2 0 write 0 1; write 1 0 1 volatile 2*1; end 1 0; answer 2 0
submit 3 0 flush 0 0; flush 2; end 2 0; answer 3 0; write 3 0 1 volatile 1*1; end 3 0
END
keeps "a newer write over one that is safe may tear" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
submit 3 0 write 0 1; write 3 0 1 volatile 3*1; end 3 0; answer 3 0
END
keeps "two at once: either may be there" <<'END'
submit 1 0 write 0 1; submit 2 0 write 0 1; write 1 0 1 volatile 1*1; write 2 0 1 volatile 2*1; end 2 0; end 1 0
answer 1 0; answer 2 0; submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 0
END
keeps "a write that failed may be missing" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 5; answer 1 -1; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
END
violates a "... one that failed, and was answered well, may not" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 5; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
END

# ---- b: disks that write through
violates b "a write that is answered and volatile" <<'END'
mode directsync; submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0
END
violates b "one that is answered before its end" <<'END'
mode writethrough; submit 1 0 write 0 1; write 1 0 1 fua 1*1; answer 1 0; end 1 0
END
keeps "one that is not" <<'END'
mode directsync; submit 1 0 write 0 1; write 1 0 1 fua 1*1; end 1 0; answer 1 0
END
keeps "one with a flush of its own" <<'END'
mode writethrough; submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; flush 2; end 2 0; answer 1 0
END
violates b "what was answered before the disk began to write through" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; changing directsync; mode directsync
END
keeps "... was flushed" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; changing directsync; flush 2; end 2 0; mode directsync
submit 2 0 write 0 1; write 3 0 1 fua 2*1; end 3 0; answer 2 0; changing none; mode none
submit 3 0 write 0 1; write 4 0 1 volatile 3*1; end 4 0; answer 3 0
END

# ---- c: barriers
violates c "a barrier whose data is volatile" <<'END'
submit 1 0 barrier 0 1; flush 1; end 1 0; write 2 0 1 volatile 1*1; end 2 0; answer 1 0
END
keeps "a barrier as it should be" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 1; submit 3 0 write 5 1; write 1 4 1 volatile 1*1; end 1 0; answer 1 0; flush 2; end 2 0
write 3 0 1 volatile 2*1; end 3 0; flush 4; end 4 0; answer 2 0; write 5 5 1 volatile 3*1; end 5 0; answer 3 0
END
violates c "its data comes before what is ahead of it is safe" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 1; write 1 4 1 volatile 1*1; end 1 0; write 3 0 1 volatile 2*1
END
violates c "what is behind it comes before what is ahead" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 1; submit 3 0 write 5 1; write 1 4 1 volatile 1*1; write 2 5 1 volatile 3*1
END
violates c "what is behind it comes before its own data" <<'END'
submit 1 0 barrier 0 1; submit 2 0 write 5 1; write 2 5 1 volatile 2*1
END
violates c "without data: what is behind it comes before what is ahead" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 0; submit 3 0 write 5 1; write 1 4 1 volatile 1*1; end 1 0; answer 1 0; write 2 5 1 volatile 3*1
END
keeps "without data: not before" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 0; submit 3 0 write 5 1; write 1 4 1 volatile 1*1; end 1 0; answer 1 0; flush 2; end 2 0
answer 2 0; write 3 5 1 volatile 3*1; end 3 0; answer 3 0
END
violates c "without data: answered, and what is ahead is volatile" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 0; write 1 4 1 volatile 1*1; end 1 0; answer 1 0; answer 2 0
END
violates c "another ring's write was answered before it was asked for, and is not safe" <<'END'
connect 2; submit 1 1 write 4 1; write 1 4 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 barrier 0 1; write 3 0 1 volatile 2*1
END
violates c "another ring's write came to the disk before its data, and is not safe" <<'END'
connect 2; submit 2 0 barrier 0 1; submit 1 1 write 4 1; write 1 4 1 volatile 1*1; write 3 0 1 volatile 2*1
END
keeps "another ring's write that came before it is safe" <<'END'
connect 2; submit 2 0 barrier 0 1; submit 1 1 write 4 1; write 1 4 1 volatile 1*1; end 1 0; flush 2; end 2 0; write 3 0 1 volatile 2*1
END
violates c "another ring's write comes behind its data, and what is ahead is not safe" <<'END'
connect 3; submit 1 0 write 4 1; submit 2 0 barrier 0 1; submit 3 1 write 6 1
write 1 0 1 volatile 2*1; write 2 6 1 volatile 3*1
END
keeps "another ring's write before its data owes it nothing" <<'END'
connect 2; submit 1 0 write 4 1; submit 2 0 barrier 0 1; submit 3 1 write 6 1; write 1 6 1 volatile 3*1; end 1 0; answer 3 0
write 2 4 1 volatile 1*1; end 2 0; answer 1 0; flush 3; end 3 0; write 4 0 1 volatile 2*1; end 4 0; flush 5; end 5 0; answer 2 0
END
violates c "a discard behind it is done before" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 0; submit 3 0 discard 8 4; write 1 4 1 volatile 1*1; end 1 0; discard 2 8 4
END
violates c "a discard ahead of it is done behind it, over newer data" <<'END'
submit 1 0 discard 8 4; submit 2 0 barrier 8 1; flush 1; end 1 0; write 2 8 1 volatile 2*1; end 2 0; flush 3; end 3 0; answer 2 0; discard 4 8 4
END
keeps "... or before it" <<'END'
submit 1 0 discard 8 4; submit 2 0 barrier 8 1; discard 4 8 4; end 4 0; answer 1 0; flush 1; end 1 0; write 2 8 1 volatile 2*1; end 2 0
flush 3; end 3 0; answer 2 0
END
keeps "one that was never answered, and of which nothing is there" <<'END'
submit 1 0 write 4 1; submit 2 0 barrier 0 1; write 1 4 1 volatile 1*1; lost; connect 1; submit 3 0 write 5 1; write 2 5 1 volatile 3*1
END
keeps "one that was not answered when the worker died, and half of it is there" <<'END'
connect 1; submit 1 0 write 4 2; write 1 4 1 volatile 1*1; end 1 0; lost; connect 1; flush 2; end 2 0; submit 2 0 barrier 0 1
flush 3; end 3 0; write 4 0 1 volatile 2*1; end 4 0; flush 5; end 5 0; answer 2 0
END
violates c "one that was answered before the worker died is owed to the next" <<'END'
connect 1; submit 1 0 write 4 2; write 1 4 2 volatile 1*2; end 1 0; answer 1 0; lost; connect 1; submit 2 0 barrier 0 1; write 4 0 1 volatile 2*1
END

# ---- d: whole sectors, each in its place
violates d "a sector of nobody" <<'END'
submit 1 0 write 0 2; write 1 0 2 volatile 1*1 4294967294*1; end 1 0; answer 1 0
END
violates d "a torn sector" <<'END'
submit 1 0 write 0 2; write 1 0 2 volatile 1*1 1+0*1; end 1 0; answer 1 0
END
keeps "the page cache writes one back that is being written" <<'END'
mode writeback; submit 1 0 write 0 1; answer 1 0; write 1 0 1 volatile 1*1; end 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
submit 3 0 write 0 1; write 3 0 1 volatile 3+1*1; end 3 0; answer 3 0; write 4 0 1 volatile 3*1; end 4 0
submit 4 0 flush 0 0; flush 5; end 5 0; answer 4 0
END
violates a "... and leaves it torn" <<'END'
mode writeback; submit 1 0 write 0 1; answer 1 0; write 1 0 1 volatile 1*1; end 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
submit 3 0 write 0 1; write 3 0 1 volatile 3+1*1; end 3 0; answer 3 0; submit 4 0 flush 0 0; flush 4; end 4 0; answer 4 0
END
violates a "... torn between something newer and something older than what is safe" <<'END'
mode writeback; submit 1 0 write 0 1; answer 1 0; write 1 0 1 volatile 1*1; end 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
submit 3 0 write 0 1; write 3 0 1 volatile 3+0*1; end 3 0; answer 3 0
END
violates d "torn, with what nobody has asked for" <<'END'
mode writeback; submit 1 0 write 0 2; write 1 0 1 volatile 1+2*1; end 1 0; submit 2 0 write 0 1; answer 1 0; answer 2 0
END
keeps "zeros of a discard that is on its way" <<'END'
mode writeback; submit 1 0 write 0 8; answer 1 0; submit 2 0 discard 0 4; write 1 0 8 volatile 4294967295*4 1*4; end 1 0; answer 2 0
END
violates d "... and they are not from the page cache" <<'END'
submit 1 0 write 0 8; answer 1 0; submit 2 0 discard 0 4; write 1 0 8 volatile 4294967295*4 1*4; end 1 0; answer 2 0
END
violates d "a write where nobody wrote" <<'END'
submit 1 0 write 0 2; write 1 1 2 volatile 1*2; end 1 0; answer 1 0
END
violates d "what nobody has asked for yet" <<'END'
write 1 0 1 volatile 1*1; end 1 0; submit 1 0 write 0 1; answer 1 0
END
violates d "zeros" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 4294967295*1; end 1 0; answer 1 0
END
violates d "a discard of more than was asked for" <<'END'
submit 1 0 discard 8 4; discard 1 8 5; end 1 0; answer 1 0
END
violates d "a discard after its answer" <<'END'
submit 1 0 discard 8 4; answer 1 0; discard 1 8 4; end 1 0
END
violates a "a discard that is older than what is safe there" <<'END'
submit 1 0 discard 8 4; submit 2 0 barrier 0 0; submit 3 0 write 8 1; answer 2 0; write 1 8 1 volatile 3*1; end 1 0; answer 3 0
submit 4 0 flush 0 0; flush 2; end 2 0; answer 4 0; discard 3 8 4; end 3 0; answer 1 0
END
keeps "a discard drops what the page cache has, and the disk has something older" <<'END'
mode writeback; submit 1 0 write 0 1; answer 1 0; submit 2 0 write 0 1; answer 2 0; write 1 0 1 volatile 1*1; end 1 0
submit 3 0 discard 0 1; discard 2 0 1; end 2 0; answer 3 0; submit 4 0 flush 0 0; flush 3; end 3 0; answer 4 0
END
violates a "... of what was not flushed before" <<'END'
mode writeback; submit 1 0 write 0 1; answer 1 0; submit 2 0 write 0 1; answer 2 0; write 1 0 1 volatile 2*1; end 1 0
submit 3 0 flush 0 0; flush 2; end 2 0; answer 3 0; submit 4 0 discard 0 1; write 3 0 1 volatile 1*1; end 3 0; answer 4 0
END
violates a "... and not without a page cache" <<'END'
submit 1 0 write 0 1; answer 1 0; submit 2 0 write 0 1; answer 2 0; write 1 0 1 volatile 1*1; end 1 0
submit 3 0 discard 0 1; answer 3 0; submit 4 0 flush 0 0; flush 3; end 3 0; answer 4 0
END
keeps "discards, in steps, and data around them" <<'END'
submit 1 0 write 8 1; write 1 8 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 0; answer 2 0
submit 3 0 discard 8 4; discard 3 8 2; end 3 0; discard 4 10 2; end 4 0; answer 3 0; submit 4 0 write 8 1; write 5 8 1 volatile 4*1
END
keeps "a block that was completed and written back" <<'END'
submit 1 0 write 0 1; write 1 0 8 volatile 1*1 0*7; end 1 0; answer 1 0
submit 2 0 write 1 1; write 2 0 8 volatile 1*1 2*1 0*6; end 2 0; answer 2 0; submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 0
END
keeps "... and has discarded neighbours" <<'END'
submit 1 0 discard 4 4; discard 1 4 4; end 1 0; answer 1 0; submit 2 0 write 0 1; write 2 0 8 volatile 2*1 0*3 4294967295*4; end 2 0; answer 2 0
submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 0; submit 4 0 write 1 1; write 4 0 8 volatile 2*1 4*1 0*2 4294967295*4; end 4 0; answer 4 0
END
violates a "... with what its neighbour had before" <<'END'
submit 1 0 write 0 1; submit 2 0 write 1 1; write 1 0 8 volatile 1*1 0*7; end 1 0; answer 1 0
submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 0; write 2 0 8 volatile 0*1 2*1 0*6; end 2 0; answer 2 0
END

# ---- e: orderly ends, and mode unsafe
keeps "unsafe promises nothing" <<'END'
mode unsafe; submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; answer 2 0
submit 3 0 barrier 4 1; write 2 4 1 volatile 3*1; end 2 0; answer 3 0
END
for mode in none directsync writethrough writeback unsafe; do
    violates e "$mode: an end without a flush" <<END
mode none; submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; $(
        # What is asked of a disk that writes through is another rule's matter.
        case $mode in *through | *sync) ;; *) echo "mode $mode;" ;; esac
    ) close
END
    keeps "$mode: with one" <<END
mode $mode; submit 1 0 write 0 1; write 1 0 1 fua 1*1; end 1 0; answer 1 0; flush 2; end 2 0; close
END
done
violates a "unsafe no more: what was answered is owed to the next flush" <<'END'
mode unsafe; submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; changing none; mode none; submit 2 0 flush 0 0; answer 2 0
END

# ---- f: flushes that fail
violates f "a flush fails and is answered well" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 5; answer 2 0
END
violates f "the next one is answered well" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 5; answer 2 -5
submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 0
END
keeps "the next one is answered with an error, too" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 5; answer 2 -5
submit 3 0 flush 0 0; flush 3; end 3 0; answer 3 -5; close
END
keeps "what was lost is known after the disk was attached anew" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 5; answer 2 -5; close
attach; connect 1; submit 3 0 write 1 1; write 3 1 1 volatile 3*1; end 3 0; answer 3 0; submit 4 0 flush 0 0; flush 4; end 4 0; answer 4 0
END
violates f "... but not by a new worker alone" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 flush 0 0; flush 2; end 2 5; answer 2 -5; lost
connect 1; submit 4 0 flush 0 0; flush 4; end 4 0; answer 4 0
END

# ---- r: reads
violates r "a read finds what was there before an answered write" <<'END'
submit 1 0 write 0 1; write 1 0 1 volatile 1*1; end 1 0; answer 1 0; submit 2 0 read 0 2; answer 2 0 0*2
END
violates r "... before a second one" <<'END'
submit 1 0 write 0 1; answer 1 0; submit 2 0 write 0 1; answer 2 0; submit 3 0 read 0 1; answer 3 0 1*1
END
violates r "... zeros of a discard before it" <<'END'
submit 1 0 discard 0 1; answer 1 0; submit 2 0 write 0 1; answer 2 0; submit 3 0 read 0 1; answer 3 0 4294967295*1
END
violates r "a read finds what nobody has written" <<'END'
submit 1 0 read 0 1; answer 1 0 7*1
END
keeps "a read beside a write finds either" <<'END'
submit 1 0 write 0 2; submit 2 0 read 0 2; answer 2 0 0*1 1*1; answer 1 0; submit 3 0 read 0 2; answer 3 0 1*2
END
keeps "a read finds a newer write, or a discard beside it" <<'END'
submit 1 0 write 0 2; answer 1 0; submit 2 0 write 0 1; submit 3 0 discard 1 1; submit 4 0 read 0 2; answer 4 0 2*1 4294967295*1
END
keeps "a read from the page cache finds a sector torn that is just being written" <<'END'
mode writeback; submit 1 0 write 0 2; submit 2 0 read 0 2; answer 2 0 0*1 1+0*1; answer 1 0
END
violates r "... and not one that was written before" <<'END'
mode writeback; submit 1 0 write 0 2; submit 2 0 write 0 2; answer 1 0; answer 2 0; submit 3 0 read 0 2; answer 3 0 1*1 1+2*1
END
violates r "... nor one that is torn with something old" <<'END'
mode writeback; submit 1 0 write 0 2; answer 1 0; submit 2 0 write 0 2; submit 3 0 read 0 2; answer 3 0 1*1 2+0*1; answer 2 0
END
violates r "... nor from the disk itself" <<'END'
submit 1 0 write 0 2; submit 2 0 read 0 2; answer 2 0 0*1 0+1*1; answer 1 0
END

# ---- what is no history
printf '1 submit 1 0 write 0 1\n1 answer 1 0\n' >"$work/log"
crash-check "$work/log" >"$work/said" 2>&1
[ $? = 2 ]
verdict $? "two events of one tick are refused"
printf '1 answer 1 0\n' >"$work/log"
crash-check "$work/log" >"$work/said" 2>&1
[ $? = 2 ]
verdict $? "an answer to nothing is refused"
echo "1..$nr"
[ "$nr_failed" = 0 ]
