#!/bin/sh
# test_compile.sh EMIT_VARIANTS: clang takes every emitted text without a warning: as OpenCL C 1.2, or, where it folds by
# sub-groups or collective functions, as 3.0 with these features.
set -eu
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
"$1" "$directory"
newer='fold=subgroup\|fold=collective'

# check FILES OPTION...: of the files that FILES names.
check() {
    files=$1
    shift
    [ -s "$files" ] || { echo "test_compile: no texts for $*" >&2 && exit 1; }
    xargs -P 2 -n 64 clang -x cl "$@" -Xclang -finclude-default-header -target spir64 \
        -Wall -Wextra -Wno-unused-parameter -Werror -fsyntax-only <"$files"
}
find "$directory" -name '*.cl' -exec grep -L "$newer" {} + >"$directory/old"
find "$directory" -name '*.cl' -exec grep -l "$newer" {} + >"$directory/new"
check "$directory/old" -cl-std=CL1.2
check "$directory/new" -cl-std=CL3.0 -D__opencl_c_work_group_collective_functions=1
