#!/usr/bin/env bash
# test.sh [CTEST-OPTION...]: installs what is missing, builds everything with gcc into build-test/ with warnings as errors,
# and runs all tests, those of the device on five OpenCL implementations; then those that watch memory and threads under
# sanitizers, and the fuzzers, each for some seconds. With options it runs the first part only: test.sh -R cache, the tests
# with "cache" in their name; test.sh -L rusticl, those on rusticl.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" "${example_packages[@]}" "${test_packages[@]}"
"$root/scripts/opencl-implementations.sh" >/dev/null
# What does not name an implementation, and the sanitizers, have PoCL's driver alone; some others leak.
exports=$("$root/scripts/opencl-implementations.sh" --ready pocl)
eval "$exports"
build=$root/build-test
configure "$build" -DCMAKE_C_COMPILER=gcc -DCLNORM_WERROR=ON -DCLNORM_BUILD_TESTS=ON
cmake --build "$build" -j "$jobs"
use_own_caches "$build"

# How much ran on each implementation: cases compared with the reference, and test functions.
count_cases() {
    awk '/ Testing: / { split($NF, name, "."); on = name[1] }
         / passed, .* unsupported;/ { passed[on] += $1; failed[on] += $3; unsupported[on] += $5 }
         /^not supported: / { unsupported[on]++ }
         /^\[  PASSED  \] .* test/ { good[on] += $4 }
         /^\[  SKIPPED \] .* test.s., listed/ { skipped[on] += $4 }
         END { for (i in passed)
                   printf "%-11s cases: %d passed, %d failed, %d not supported; tests: %d passed, %d skipped\n",
                       i, passed[i], failed[i], unsupported[i], good[i], skipped[i] }' \
        "$build/Testing/Temporary/LastTest.log" | sort
}
status=0
(cd "$build" && ctest --output-on-failure -j "$jobs" "$@") || status=$?
count_cases
[ $status -eq 0 ] || exit $status
[ $# -eq 0 ] || exit 0

cd "$root"
export CMAKE_GENERATOR=Ninja
for preset in asan tsan fuzz; do
    echo "== $preset"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" -j "$jobs"
    ctest --preset "$preset" -j "$jobs"
done
