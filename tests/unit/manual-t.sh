#!/bin/sh
# The manual pages, --help and the programs' sources say the same: options, exit codes, environment,
# nodes in xenstore. And the pages are laid out without a complaint.
set -u
cd "$(dirname "$0")/../.." || exit 2

program=${BLKBACK_BUILD:-build/default}/bin/blkback-vbd
page=backend/blkback-vbd.8
script=tools/block-blkback
script_page=tools/block-blkback.8
help=$("$program" --help)
nr=0

# $1: what is tested, $2 and $3: two lists of words that are to be the same
same() {
    nr=$((nr + 1))
    if [ -n "$2" ] && [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
        return
    fi
    echo "not ok $nr - $1"
    printf '# one says:   %s\n# other says: %s\n' "$(echo "$2" | tr '\n' ' ')" "$(echo "$3" | tr '\n' ' ')"
}

# $1: what is tested, $2: a list of words, each of which $3, a text, is to have
covers() {
    absent=
    [ -n "$2" ] || absent="(the list is empty)"
    for word in $2; do
        printf '%s\n' "$3" | grep -q -F -w -e "$word" || absent="$absent $word"
    done
    same "$1" "none is missing" "${absent:-none is missing}"
}

# $1: what is tested, the rest: a command that is to say nothing
silent() {
    name=$1
    shift
    said=$("$@" 2>&1 >/dev/null)
    same "$name" "no complaint" "${said:-no complaint}"
}

words() {
    tr ' ' '\n' | sed '/^$/d' | sort -u
}

# ---- blkback-vbd ------------------------------------------------------------------------------

long_parsed=$(sed -n 's/.*{"\([a-z-]*\)", \(no\|required\)_argument.*/\1/p' backend/vbd_main.c | words)
long_helped=$(echo "$help" | grep -o -e '--[a-z][a-z-]*' | sed 's/^--//' | words)
long_paged=$(sed -n 's/.*Fl Fl \([a-z][a-z-]*\).*/\1/p' $page | words)
same "long options: --help has what is parsed" "$long_parsed" "$long_helped"
same "long options: the page has what is parsed" "$long_parsed" "$long_paged"

short_parsed=$(sed -n 's/.*getopt_long(argc, argv, "\([a-zA-Z:]*\)".*/\1/p' backend/vbd_main.c | tr -d : | grep -o . | words)
short_helped=$(echo "$help" | sed -n 's/^ *-\([a-zA-Z]\),.*/\1/p' | words)
short_paged=$(sed -n 's/^\.It Fl \([a-zA-Z]\) .*/\1/p' $page | words)
same "short options: --help has what is parsed" "$short_parsed" "$short_helped"
same "short options: the page has what is parsed" "$short_parsed" "$short_paged"

codes=$(sed -n 's/.*WORKER_[A-Z_]* = \([0-9]*\),.*/\1/p' backend/control/worker.h | words)
codes_helped=$(echo "$help" | sed -n '/^Exit codes/,$p' | grep -o '[0-9]' | words)
codes_paged=$(sed -n 's/^\.It \([0-9]\)$/\1/p' $page | words)
same "exit codes: --help" "$codes" "$codes_helped"
same "exit codes: the page" "$codes" "$codes_paged"

# shellcheck disable=SC2016 # a pattern
environment=$(grep -ho '"BLKBACK_[A-Z]*"' backend/vbd_main.c | tr -d '"' | grep -v VERSION | words)
covers "environment: --help" "$environment" "$help"
covers "environment: the page" "$environment" "$(cat $page)"

nodes=$(sed -n 's/.*\(node_[a-z0-9]*\|read_u32\)(&*[a-z]*, "\([a-z0-9-]*\)".*/\2/p' backend/control/*.c xenstore/state.c | words)
covers "nodes: the page has those of the source" "$nodes" "$(cat $page)"

# ---- block-blkback ----------------------------------------------------------------------------

environment=$(grep -o '\(BLKBACK\|XENBUS\)_[A-Z]*' $script | words)
covers "environment: the script's page" "$environment" "$(cat $script_page)"
# shellcheck disable=SC2016 # a pattern
nodes=$(grep -o 'XENBUS_PATH/[a-z][a-z-]*' $script | sed 's/.*\///' | grep -v -x state | words)
covers "nodes: the script's page" "params mode $nodes" "$(cat $script_page)"

# ---- blkbackctl -------------------------------------------------------------------------------

ctl=tools/blkbackctl.c
ctl_page=tools/blkbackctl.8
ctl_help=$("${BLKBACK_BUILD:-build/default}/bin/blkbackctl" --help)

options_parsed=$(sed -n "s/.*{\"\([a-z-]*\)\", \(no\|required\)_argument, NULL, '\(.\)'}.*/\3-\1/p" $ctl | words)
options_helped=$(echo "$ctl_help" | sed -n 's/^ *-\([a-zA-Z]\), --\([a-z-]*\).*/\1-\2/p' | words)
options_paged=$(sed -n 's/^\.It Fl \([a-zA-Z]\) , Fl Fl \([a-z-]*\).*/\1-\2/p' $ctl_page | words)
same "options of blkbackctl: --help has what is parsed" "$options_parsed" "$options_helped"
same "options of blkbackctl: the page has what is parsed" "$options_parsed" "$options_paged"

codes=$(sed -n 's/.*CTL_[A-Z_]* = \([0-9]*\),.*/\1/p' $ctl | words)
codes_helped=$(echo "$ctl_help" | sed -n '/^Exit codes/,$p' | grep -o '[0-9]' | words)
codes_paged=$(sed -n 's/^\.It \([0-9]\)$/\1/p' $ctl_page | words)
same "exit codes of blkbackctl: --help" "$codes" "$codes_helped"
same "exit codes of blkbackctl: the page" "$codes" "$codes_paged"

environment=$(grep -ho '"BLKBACK_[A-Z]*"' $ctl | tr -d '"' | words)
covers "environment of blkbackctl: --help" "$environment" "$ctl_help"
covers "environment of blkbackctl: the page" "$environment" "$(cat $ctl_page)"
covers "JSON: the page has every name" \
    "$(grep -ho 'json_set\(_null\)\?([a-z]*, "[a-z_]*"' backend/control/answer.c $ctl | sed 's/.*"\(.*\)"/\1/' | grep -v -x requests | words)" \
    "$(cat $ctl_page)"
covers "JSON: the page has every counter" \
    "$(sed -n 's/^\tCOUNTER(\([a-z_]*\),.*/\1/p; s/^\tREFUSED([A-Z_]*, "\([a-z_]*\)").*/refused_\1/p' backend/control/counters.c | words)" \
    "$(cat $ctl_page)"
covers "requests of the socket: the page" \
    "$(sed -n 's/^\t{"\([a-z-]*\)", [0-9], ".*/\1/p' backend/control/answer.c | words)" "$(cat $ctl_page)"

# ---- layout -----------------------------------------------------------------------------------

if command -v groff >/dev/null; then
    silent "the layout of $page" groff -ww -mdoc -Tutf8 $page
    silent "the layout of $script_page" groff -ww -mdoc -Tutf8 $script_page
    silent "the layout of $ctl_page" groff -ww -mdoc -Tutf8 $ctl_page
else
    nr=$((nr + 1))
    echo "ok $nr # SKIP there is no groff to lay out the pages"
fi
echo "1..$nr"
