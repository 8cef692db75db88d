#!/bin/sh
# tools/bootstrap.sh: packages of two architectures count as installed; clean and help install nothing. Run
# with stand-ins for apt-get, dpkg-query and make.
set -u
cd "$(dirname "$0")/../.." || exit 2
echo "1..4"
nr=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/bootstrap.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT

is() { # name, actual, expected
    nr=$((nr + 1))
    if [ "$2" = "$3" ]; then
        echo "ok $nr - $1"
    else
        echo "not ok $nr - $1"
        printf '%s\n' "is:" "$2" "should be:" "$3" | sed 's/^/# /'
    fi
}

mkdir -p "$dir/tree/tools" "$dir/tree/build/xen-tools/usr/lib/xen-4.17/bin" "$dir/bin"
cp tools/bootstrap.sh "$dir/tree/tools"
printf '#!/bin/sh\n' >"$dir/tree/build/xen-tools/usr/lib/xen-4.17/bin/xenstored"
chmod +x "$dir/tree/build/xen-tools/usr/lib/xen-4.17/bin/xenstored"
echo "libc6-dev all C headers" >"$dir/tree/tools/packages"
for program in apt-get apt-cache sudo make; do
    printf '#!/bin/sh\necho %s "$@"\n' "$program" >"$dir/bin/$program"
done
# As dpkg-query: the format, once for each architecture.
cat >"$dir/bin/dpkg-query" <<'END'
#!/bin/sh
[ -e "$0.two" ] || exit 1
for _ in amd64 i386; do printf "$(printf %s "$3" | sed 's/${db:Status-Status}/installed/')"; done
END
chmod +x "$dir/bin"/*
bootstrap() {
    PATH=$dir/bin:$PATH sh "$dir/tree/tools/bootstrap.sh" "$@" 2>&1 | sed 's/ -j[0-9]*//'
}

is "help" "$(bootstrap help)" "make help"
is "clean with a variable" "$(bootstrap clean VARIANT=asan)" "make clean VARIANT=asan"
case $(bootstrap clean all) in *apt-get*install*libc6-dev*make*) said=yes ;; *) said=no ;; esac
is "more than clean" "$said" yes
: >"$dir/bin/dpkg-query.two"
is "a package of two architectures" "$(bootstrap all)" "make all"
