# shellcheck shell=bash
# The random guest for shell tests, on top of guest.sh.
#
#   check "the disk is served" serve_wide "$image" --set=features-off=persistent
#   check "a random guest" random_guest "$image" --queues=4 --requests=500
#
# GUEST_SEED=N repeats a run; without, each run is another one. GUEST_SCALE=N: so many times as many requests.

# shellcheck source=tests/lib/guest.sh
. "$(dirname "${BASH_SOURCE[0]}")/guest.sh"

# shellcheck disable=SC2034 # for the tests
seed=${GUEST_SEED:-$((SRANDOM))}
# shellcheck disable=SC2034
scale=${GUEST_SCALE:-1}
# Bash's own numbers follow from it, too.
RANDOM=$((seed % 32768))
# A hang is what the limit is for.
deadline=240
printf '# GUEST_SEED=%s GUEST_SCALE=%s repeats this run\n' "$seed" "$scale" | tee /dev/stderr

# serve_wide IMAGE [OPTION...]: as serve, with four queues on any machine.
serve_wide() {
    xensim vbd-attach --no-script --script="$script" "${@:2}" "$domid" xvda "$1" &&
        start_worker --max-queues=4 && hotplug add
}

# random_guest IMAGE OPTION...: the device or file that the disk is on, and options of the program random-guest
random_guest() {
    as_guest timeout --foreground "$deadline" random-guest --seed="$seed" --image="$1" "${@:2}"
}

# done_with: the disk goes, and so does its worker
done_with() {
    check "$1: the disk detaches" detach xvda
    exits 0 "$1: the worker ends with 0" ended "$worker"
}

# pick WORD...: one of them
pick() {
    local n=$((RANDOM % $# + 1))

    printf '%s\n' "${!n}"
}
