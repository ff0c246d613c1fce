#!/usr/bin/env bash
# test.sh [CTEST-OPTION...]: installs what is missing, builds everything with gcc into build-test/ with warnings as errors,
# and runs all tests; then those that watch memory and threads under sanitizers, and the fuzzers, each for some seconds.
# With options (test.sh -R cache: the tests with "cache" in their name) it runs the first part only.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" "${example_packages[@]}" "${test_packages[@]}"
# Of the drivers that a machine may have, the tests are for PoCL's; some others leak.
export OCL_ICD_VENDORS=${OCL_ICD_VENDORS:-/etc/OpenCL/vendors/pocl.icd}
build=$root/build-test
configure "$build" -DCMAKE_C_COMPILER=gcc -DCLNORM_WERROR=ON -DCLNORM_BUILD_TESTS=ON
cmake --build "$build" -j "$jobs"
use_own_caches "$build"
(cd "$build" && ctest --output-on-failure -j "$jobs" "$@")
[ $# -eq 0 ] || exit 0

cd "$root"
export CMAKE_GENERATOR=Ninja
for preset in asan tsan fuzz; do
    echo "== $preset"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" -j "$jobs"
    ctest --preset "$preset" -j "$jobs"
done
