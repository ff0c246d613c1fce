#!/usr/bin/env bash
# demo.sh: from a fresh Debian 12 machine to a trained network. Installs what is missing, builds into build/, lists the
# devices, checks every operation on the best one, and trains on Fashion-MNIST with and without batch normalization.
# Arguments go to the training program (see build/fashion_mnist --help).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" "${example_packages[@]}"
build=$root/build
configure "$build" -DCLNORM_BUILD_TESTS=OFF
cmake --build "$build" -j "$jobs"
use_own_caches "$build"

echo
echo "== clnorm devices"
"$build/clnorm" devices
echo
echo "== clnorm check"
"$build/clnorm" check | grep -v '^pass' # failures, if any, and the count
echo
echo "== Fashion-MNIST"
"$build/fashion_mnist" --output "$build/fashion-mnist" "$@"
