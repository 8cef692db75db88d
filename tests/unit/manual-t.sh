#!/bin/sh
# The manual pages, --help and the programs' sources say the same: options, exit codes, environment,
# nodes in xenstore. And the pages are laid out without a complaint.
set -u
cd "$(dirname "$0")/../.." || exit 2

bin=${BLKBACK_BUILD:-build/default}/bin
page=backend/blkback-vbd.8
script=tools/block-blkback
script_page=tools/block-blkback.8
daemon_page=backend/blkbackd.8
config_page=backend/blkbackd.conf.5
cache_page=backend/blkback-cache.7
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

# ---- the programs -----------------------------------------------------------------------------

# $1: program, $2: its main file, $3: its page, $4 and $5: the file and the prefix of its exit codes
program() {
    help=$("$bin/$1" --help)

    parsed=$(sed -n 's/.*{"\([a-z-]*\)", \(no\|required\)_argument.*/\1/p' "$2" | words)
    same "$1: long options: --help has what is parsed" "$parsed" \
        "$(echo "$help" | grep -o -e '--[a-z][a-z-]*' | sed 's/^--//' | words)"
    same "$1: long options: the page has what is parsed" "$parsed" \
        "$(sed -n 's/.*Fl Fl \([a-z][a-z-]*\).*/\1/p' "$3" | words)"

    parsed=$(sed -n 's/.*getopt_long(argc, argv, "\([a-zA-Z:]*\)".*/\1/p' "$2" | tr -d : | grep -o . | words)
    same "$1: short options: --help has what is parsed" "$parsed" \
        "$(echo "$help" | sed -n 's/^ *-\([a-zA-Z]\),.*/\1/p' | words)"
    same "$1: short options: the page has what is parsed" "$parsed" \
        "$(sed -n 's/^\.It Fl \([a-zA-Z]\) .*/\1/p' "$3" | words)"

    codes=$(sed -n "s/.*$5_[A-Z_]* = \([0-9]*\),.*/\1/p" "$4" | words)
    same "$1: exit codes: --help" "$codes" \
        "$(echo "$help" | sed -n '/^Exit codes/,$p' | grep -o '[0-9]' | words)"
    same "$1: exit codes: the page" "$codes" "$(sed -n 's/^\.It \([0-9]\)$/\1/p' "$3" | words)"

    environment=$(grep -ho '"BLKBACK_[A-Z]*"' "$2" | tr -d '"' | words)
    covers "$1: environment: --help" "$environment" "$help"
    covers "$1: environment: the page" "$environment" "$(cat "$3")"
}

program blkback-vbd backend/vbd_main.c $page backend/control/worker.h WORKER
program blkbackd backend/blkbackd_main.c $daemon_page backend/supervisor/supervisor.h SUPERVISOR

nodes=$(sed -n 's/.*\(node_[a-z0-9]*\|read_u32\|read_policy\)(&*[a-z]*, "\([a-z0-9-]*\)".*/\2/p' backend/control/*.c xenstore/state.c | words)
# Which of the two a sentence is for is found out first.
nodes="$nodes $(grep -o '"[a-z-]*-error"' backend/control/publish.c | tr -d '"' | words)"
covers "nodes: the page has those of the source" "$nodes" "$(cat $page)"

modes=$(sed -n 's/.*\[CACHE_[A-Z]*\] = {"\([a-z]*\)".*/\1/p' backend/util/cache.c | words)
same "cache modes: their page says what each is" "$modes" \
    "$(sed -n '/^The modes have/,/^\.El/s/^\.It Cm //p' $cache_page | words)"
same "... and has each in its table" "$modes" "$(sed -n '/^\.Bl -column "writethrough"/,/^\.El/s/^\.It \([a-z]*\) .*/\1/p' $cache_page | words)"
for text in $page $config_page $script_page tools/blkbackctl.8 tools/blkbackd.conf qemu-dm-bridge/blkback-drive-args.8; do
    covers "cache modes: $text" "$modes" "$(cat "$text")"
done

# ---- blkbackd: nodes, and every key of its configuration ----------------------------------------

nodes=$(sed -n 's/.*node_[a-z0-9]*(&*[a-z]*, "\([a-z0-9-]*\)".*/\1/p' backend/supervisor/*.c xenstore/state.c | words)
covers "blkbackd: nodes: the page" "$nodes" "$(cat $daemon_page)"
keys=$(sed -n 's/^.*\[KEY_[A-Z_]*\] = {"\([a-z-]*\)".*/\1/p' backend/supervisor/config.c | words)
same "keys: the page" "$keys" "$(sed -n 's/^\.It Ic //p' $config_page | words)"
same "keys: the example" "$keys" "$(sed -n 's/^#\([a-z-]*\) = .*/\1/p' tools/blkbackd.conf | words)"
silent "the example is right with every key uncommented" sh -c \
    "sed 's/^#\([a-z-]* = \)/\1/' tools/blkbackd.conf | $bin/blkbackd --check-config -c /dev/stdin"
# config-t compares the example with the source.
defaults=$(awk '/^\.It Ic/ { key = $3 } /^\.Ql/ && wanted { sub(/^\.Ql /, ""); sub(/ \.$/, ""); print key "=" $0 } { wanted = /^Default:/ }' \
    $config_page | tr -d ' ' | words)
same "keys: defaults" "$defaults" "$(sed -n 's/^#\([a-z-]* = .*\)/\1/p' tools/blkbackd.conf | tr -d ' ' | words)"

# ---- block-blkback ----------------------------------------------------------------------------

same "options behind the image's name: the script's page" "$(sed -n "s/^option_names='\(.*\)'/\1/p" $script | words)" \
    "$(sed -n 's/^\.It Cm \([a-z-]*\)= .*/\1/p' $script_page | words)"
environment=$(grep -o '\(BLKBACK\|XENBUS\)_[A-Z]*' $script | words)
covers "environment: the script's page" "$environment" "$(cat $script_page)"
# shellcheck disable=SC2016 # a pattern
nodes=$(grep -o -E '(XENBUS_PATH/|(drop_known|write_nodes|set_nodes|set --) )[a-z][a-z-]*' $script | sed 's/.*[ /]//' | words)
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
options_parsed=$(sed -n 's/.*{"\([a-z-]*\)", \(no\|required\)_argument.*/\1/p' $ctl | words)
same "long options of blkbackctl: --help has what is parsed" "$options_parsed" \
    "$(echo "$ctl_help" | grep -o -e '--[a-z][a-z-]*' | sed 's/^--//' | words)"
same "long options of blkbackctl: the page has what is parsed" "$options_parsed" \
    "$(sed -n 's/^\.It .*Fl Fl \([a-z][a-z-]*\).*/\1/p' $ctl_page | words)"
verbs="list $(sed -n 's/^\t{"\([a-z-]*\)", .*, TIMEOUT.*/\1/p' $ctl)"
verbs=$(echo "$verbs" | words)
same "verbs of blkbackctl: --help" "$verbs" "$(echo "$ctl_help" | sed -n 's/.*blkbackctl \([a-z-]*\) .*/\1/p' | words)"
same "verbs of blkbackctl: the page" "$verbs" "$(sed -n '/^\.Sh DESCRIPTION/,/^\.El/s/^\.It Cm //p' $ctl_page | words)"

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

# ---- blkback-drive-args -----------------------------------------------------------------------

args=qemu-dm-bridge/drive_args_main.c
args_page=qemu-dm-bridge/blkback-drive-args.8
args_help=$("$bin/blkback-drive-args" --help)

options_parsed=$(sed -n "s/.*{\"\([a-z-]*\)\", \(no\|required\)_argument, NULL, '\(.\)'}.*/\3-\1/p" $args | words)
same "options of blkback-drive-args: --help" "$options_parsed" \
    "$(echo "$args_help" | sed -n 's/^ *-\([a-zA-Z]\), --\([a-z-]*\).*/\1-\2/p' | words)"
same "options of blkback-drive-args: the page" "$options_parsed" \
    "$(sed -n 's/^\.It Fl \([a-zA-Z]\) , Fl Fl \([a-z-]*\).*/\1-\2/p' $args_page | words)"
codes=$(sed -n 's/.*ARGS_[A-Z_]* = \([0-9]*\),.*/\1/p' $args | words)
same "exit codes of blkback-drive-args: --help" "$codes" \
    "$(echo "$args_help" | sed -n '/^Exit codes/,$p' | grep -o '[0-9]' | words)"
same "exit codes of blkback-drive-args: the page" "$codes" "$(sed -n 's/^\.It \([0-9]\)$/\1/p' $args_page | words)"
covers "cache modes: --help of blkback-drive-args" "$modes" "$args_help"
covers "JSON: the page of blkback-drive-args has every name" \
    "$(grep -ho 'json_set([a-z]*, "[a-z_]*"' $args | sed 's/.*"\(.*\)"/\1/' | words)" "$(cat $args_page)"
usual=$(sed -n '/ usual\[\]/,/^};/s/^\t"\(.*\)",$/\1/p' qemu-dm-bridge/dialect/usual.c | words)
covers "QEMUs that are tried: the page" \
    "$usual" "$(cat $args_page)"
covers "... of the wrapper" "$usual" "$(cat qemu-dm-bridge/blkback-qemu-dm.8)"
covers "environment: the page of the wrapper" "$(sed -n 's/^#define [A-Z_]*_ENV *"\([A-Z_]*\)"$/\1/p' qemu-dm-bridge/qemu_dm_main.c | words)" \
    "$(cat qemu-dm-bridge/blkback-qemu-dm.8)"

# ---- layout -----------------------------------------------------------------------------------

if command -v groff >/dev/null; then
    for page in $page $script_page $ctl_page $daemon_page $config_page $cache_page $args_page; do
        silent "the layout of $page" groff -ww -mdoc -Tutf8 "$page"
    done
else
    nr=$((nr + 1))
    echo "ok $nr # SKIP there is no groff to lay out the pages"
fi
echo "1..$nr"
