#!/bin/sh
# Install what is missing and run `make TARGET...`. For Debian and Ubuntu, with only sh at the start.
#
#   sh tools/bootstrap.sh demo
#   sh tools/bootstrap.sh check
#
# What there is to install, and why, is listed in tools/packages. Installing happens as root or through
# sudo. When nothing is missing, neither root nor the network is needed. For `clean` and `help` nothing is
# installed.
set -eu
cd "$(dirname "$0")/.."

list=tools/packages
xen_tools=build/xen-tools
PATH=$PATH:/usr/sbin:/sbin
export PATH

say() {
    printf 'bootstrap: %s\n' "$*"
}

die() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}

usage() {
    sed -n '2,9s/^# \{0,1\}//p' "$0"
    exit "$1"
}

# What do the targets need: nothing, to build and run, or more than that?
scope_of() {
    scope=none
    for target; do
        case $target in
        clean | help | *=*) continue ;;
        esac
        scope=all
    done
    for target; do
        case $target in
        all | demo | install | uninstall | clean | dist | help | bench-quick | *=*) ;;
        *)
            echo check
            return
            ;;
        esac
    done
    echo $scope
}

# A package of several architectures has a line for each.
installed() {
    dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -q -x installed
}

available() {
    [ -n "$(apt-cache show --no-all-versions "$1" 2>/dev/null)" ]
}

# The columns of the list that the scope wants, alternatives separated by |.
wanted() {
    awk -v scope="$1" '!/^#/ && NF && ($2 == "all" || $2 == scope) { print $1 }' "$list"
}

# Print what is wanted and not installed; of alternatives the first that can be had.
missing() {
    for choice in $(wanted "$1"); do
        pick=
        have=
        for package in $(echo "$choice" | tr '|' ' '); do
            if installed "$package"; then
                have=yes
            elif [ -z "$pick" ] && available "$package"; then
                pick=$package
            fi
        done
        [ -n "$have" ] || echo "${pick:-${choice%%|*}}"
    done
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    elif command -v sudo >/dev/null; then
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    else
        die "installing needs root or sudo; or let someone else install: $packages"
    fi
}

refresh() {
    say "refreshing the package lists"
    as_root apt-get update -q -q
}

install() {
    # shellcheck disable=SC2086 # a list of words
    as_root apt-get install -q -q -y --no-install-recommends -o Dpkg::Use-Pty=0 $packages
}

install_missing() {
    packages=$(missing "$1" | tr '\n' ' ')
    [ -n "$packages" ] || return 0

    for package in $packages; do
        available "$package" && continue
        refresh
        packages=$(missing "$1" | tr '\n' ' ')
        break
    done
    say "installing: $packages"
    # Package lists that are there may be too old: then the first attempt cannot fetch.
    install || { refresh && install; } || die "could not install all of $list"
}

# The tests run the distribution's own xenstored. It must be of the version of the Xen libraries.
unpack_xenstored() {
    for binary in /usr/lib/xen-*/bin/xenstored "$xen_tools"/usr/lib/xen-*/bin/xenstored; do
        [ ! -x "$binary" ] || return 0
    done

    version=$(dpkg-query -W -f '${Version}' libxen-dev | sed 's/^[0-9]*://; s/^\([0-9]*\.[0-9]*\).*/\1/')
    packages=xen-utils-$version
    available "$packages" || refresh
    say "unpacking xenstored of $packages into $xen_tools (not installing it)"
    rm -rf "$xen_tools.new" "$xen_tools"
    mkdir -p "$xen_tools.new"
    # apt drops to a user who cannot write into a private checkout unless told to stay.
    (cd "$xen_tools.new" && apt-get download -q -q -o APT::Sandbox::User="$(id -un)" "$packages") ||
        die "could not download $packages, which has the xenstored that the tests run"
    dpkg -x "$xen_tools.new/$packages"_*.deb "$xen_tools.new"
    rm -f "$xen_tools.new"/*.deb
    mv "$xen_tools.new" "$xen_tools"
}

case ${1-} in
-h | --help) usage 0 ;;
'') usage 2 >&2 ;;
esac

scope=$(scope_of "$@")
if [ "$scope" = none ]; then
    command -v make >/dev/null || die "there is no make: install it, or let me build something"
elif command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; then
    install_missing "$scope"
    unpack_xenstored
else
    die "this is not Debian or Ubuntu: install what $list names (and xenstored), then run: make $*"
fi

exec make -j"$(nproc)" "$@"
