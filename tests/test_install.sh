#!/usr/bin/env bash
# test_install.sh SOURCE BUILD CMAKE: installs the build into an empty folder, moves the folder, and uses what is there as
# another project would: by CMake, by pkg-config, from C and C++, and as a command.
set -euo pipefail
export LC_ALL=C
unset LD_LIBRARY_PATH DESTDIR

source=$1 build=$2 cmake=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

fail() {
    echo "test_install: $*" >&2
    exit 1
}

"$cmake" --install "$build" --prefix "$work/first" >"$work/log" || { cat "$work/log"; fail "cmake --install failed"; }
mv "$work/first" "$work/prefix" # nothing may depend on where it was first installed
prefix=$work/prefix

library=$(find "$prefix" -name libclnorm.so)
[ -n "$library" ] || fail "no libclnorm.so (a static build is not what this test is for)"
libdir=$(dirname "$library")
for file in include/clnorm/clnorm.h include/clnorm/codegen.h include/clnorm/moments.h; do
    [ -f "$prefix/$file" ] || fail "$file is not installed"
done

soname=$(readelf -d "$library" | sed -n 's/.*(SONAME).*\[\(.*\)\].*/\1/p')
[[ $soname =~ ^libclnorm\.so\.[0-9]+$ ]] || fail "SONAME is '$soname'"
[ -e "$libdir/$soname" ] || fail "$soname is not installed"

# check_exports LIBRARY HEADER...: every exported symbol is public, clnorm_, but not clnorm__, which is the library's own;
# and every function that the headers declare is exported.
check_exports() {
    local exporter=$1 missing
    shift
    nm -D --defined-only "$exporter" | awk '{print $NF}' | sort -u >"$work/symbols"
    [ -s "$work/symbols" ] || fail "no exported symbols in $exporter"
    if grep -Ev '^clnorm_[^_]' "$work/symbols" >"$work/foreign"; then
        fail "exported though not public: $(tr '\n' ' ' <"$work/foreign")"
    fi
    sed -n 's/^CLNORM_API .*[ *]\(clnorm_[a-z0-9_]*\)(.*/\1/p' "$@" | sort -u >"$work/declared"
    [ "$(wc -l <"$work/declared")" -ge 5 ] || fail "the declarations in $* were not recognised"
    missing=$(comm -23 "$work/declared" "$work/symbols")
    [ -z "$missing" ] || fail "declared but not exported:" $missing
    exported=$(wc -l <"$work/symbols")
}
mapfile -t headers < <(find "$prefix/include/clnorm" -name '*.h' ! -name mpi.h)
check_exports "$library" "${headers[@]}"
echo "test_install: $exported exported symbols"
mpi=OFF
if [ -f "$prefix/include/clnorm/mpi.h" ]; then
    mpi=ON
    check_exports "$libdir/libclnorm_mpi.so" "$prefix/include/clnorm/mpi.h"
    ! readelf -d "$library" | grep -q libmpi || fail "libclnorm.so needs MPI"
fi

"$cmake" -S "$source/tests/consumer" -B "$work/consumer" -DCMAKE_PREFIX_PATH="$prefix" -DMPI="$mpi" >"$work/log" 2>&1 &&
    "$cmake" --build "$work/consumer" >>"$work/log" 2>&1 || { cat "$work/log"; fail "CMake consumer does not build"; }
for program in consumer_c consumer_cpp consumer_codegen; do
    "$work/consumer/$program" || fail "$program failed"
done
[ $mpi = OFF ] || "$work/consumer/consumer_mpi" || fail "consumer_mpi failed"
! readelf -d "$work/consumer/consumer_codegen" | grep -q OpenCL || fail "clnorm::codegen needs OpenCL"

export PKG_CONFIG_PATH=$libdir/pkgconfig
version=$(pkg-config --modversion clnorm)
grep -q "CLNORM_VERSION_STRING \"$version\"" "$prefix/include/clnorm/codegen.h" || fail "clnorm.pc says version $version"
flags=$(pkg-config --cflags --libs clnorm)
# shellcheck disable=SC2086 # flags are words
${CC:-cc} -std=c11 ${CFLAGS:-} "$source/tests/consumer/consumer.c" -o "$work/by_pkg_config" $flags -Wl,-rpath,"$libdir"
"$work/by_pkg_config" || fail "the program built by pkg-config failed"
# shellcheck disable=SC2086
${CXX:-c++} ${CXXFLAGS:-} "$source/tests/consumer/consumer.cpp" -o "$work/by_pkg_config_cpp" $flags -Wl,-rpath,"$libdir"
"$work/by_pkg_config_cpp" || fail "the C++ program built by pkg-config failed"

if [ -e "$build/clnorm" ]; then
    "$prefix/bin/clnorm" --version | grep -qF "$version" || fail "the installed command does not run"
    [ -f "$prefix/share/man/man1/clnorm.1" ] || fail "the manual page is not installed"
fi
echo "test_install: package, pkg-config file and command work"
