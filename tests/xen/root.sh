# shellcheck shell=sh
# Laying out a root file system in a folder, to be packed as an initrd. Sourced by mkroot and boot.
#
# Symbolic links make /bin, /sbin, /lib and /lib64 the same as below /usr; therefore all destinations are
# written with /usr.

libdir=/usr/lib/x86_64-linux-gnu

# $1: the root to make
root_make() {
    rm -rf "$1"
    mkdir -p "$1/usr/bin" "$1/usr/sbin" "$1$libdir" "$1/usr/lib64"
    for name in bin sbin lib lib64; do
        ln -s usr/$name "$1/$name"
    done
    mkdir -p "$1/dev" "$1/proc" "$1/sys" "$1/run" "$1/tmp" "$1/etc" "$1/root" "$1/mnt" "$1/var/log"
    ln -s ../run "$1/var/run"
}

# A file with its mode. $1: the root, $2: the source, $3: the destination
root_put() {
    mkdir -p "$1${3%/*}"
    cp -L "$2" "$1$3"
}

# A program and every library it needs. $1: the root, $2: the source, $3: the destination,
# $4: where the packages are unpacked; without it the program is the host's, or ours
root_program() {
    root_put "$1" "$2" "$3"
    root_libraries "$2" "${4-}" | while read -r library; do
        case $library in
        */ld-linux-x86-64.so.2) root_put "$1" "$library" /usr/lib64/ld-linux-x86-64.so.2 ;;
        *) root_put "$1" "$library" "$libdir/${library##*/}" ;;
        esac
    done
}

# Unpacked programs are looked at with their own loader: the host's may be of another version.
# $1: the program, $2: where the packages are unpacked, or nothing
root_libraries() {
    if [ -n "$2" ]; then
        loader=$2/lib64/ld-linux-x86-64.so.2
        echo "$loader"
        set -- "$loader" --library-path "$2$libdir:$2/lib/x86_64-linux-gnu" --list "$1"
    else
        set -- ldd "$1"
    fi
    "$@" >"${scratch:?}/libraries" || return 1
    if grep 'not found' "${scratch:?}/libraries" >&2; then return 1; fi
    # "name => path (address)"; without an arrow it is the loader itself.
    sed -n 's/^.* => \(.*\) (.*/\1/p; s/^[[:space:]]*\(\/[^ ]*ld-linux[^ ]*\) (.*/\1/p' "${scratch:?}/libraries"
}

# $1: the root, $2: the cpio archive to write
root_pack() {
    (cd "$1" && find . | cpio -o -H newc -R 0:0 --quiet) >"$2"
}
