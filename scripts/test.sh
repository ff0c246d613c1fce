#!/usr/bin/env bash
# test.sh [CTEST-OPTION...]: installs what is missing, builds everything with gcc into build-test/ with warnings as errors,
# and runs all tests. test.sh -R cache runs those with "cache" in their name.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" "${example_packages[@]}" "${test_packages[@]}"
build=$root/build-test
configure "$build" -DCMAKE_C_COMPILER=gcc -DCLNORM_WERROR=ON -DCLNORM_BUILD_TESTS=ON
cmake --build "$build" -j "$jobs"
use_own_caches "$build"
cd "$build"
ctest --output-on-failure -j "$jobs" "$@"
