#!/bin/sh
# test_compile.sh EMIT_VARIANTS: clang takes every emitted text as OpenCL C 1.2 without a warning.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$1" "$directory"
find "$directory" -name '*.cl' -print0 |
    xargs -0 -P 2 -n 64 clang -x cl -cl-std=CL1.2 -Xclang -finclude-default-header -target spir64 \
        -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only
