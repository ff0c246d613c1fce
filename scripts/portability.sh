#!/usr/bin/env bash
# portability.sh: runs `clnorm check` on each of the five OpenCL implementations, and writes what passed, by
# operation, type and schedule, into portability.md.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"

install_missing "${build_packages[@]}" python3
build=$root/build
names=(pocl oclgrind rusticl intel-cpu intel-fpga)
"$root/scripts/opencl-implementations.sh" >/dev/null
configure "$build" -DCLNORM_BUILD_TESTS=OFF
cmake --build "$build" -j "$jobs" --target clnorm_command
use_own_caches "$build"
mkdir -p "$build/portability"

# check NAME: the exit status is for the table to tell. A simulator has fewer cases.
check() {
    local exports cases=portable
    [ "$1" != oclgrind ] || cases=small
    exports=$("$root/scripts/opencl-implementations.sh" --ready "$1")
    (
        eval "$exports"
        "$build/clnorm" check --cases $cases --json >"$build/portability/$1.jsonl" || true
    )
    echo "$1: $(wc -l <"$build/portability/$1.jsonl") cases"
}

for name in "${names[@]}"; do
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
    check "$name" &
done
wait
page=$root/portability.md
(
    sed '/^<!-- scripts\/portability.sh/q' "$page"
    cd "$build/portability"
    python3 "$root/scripts/portability_table.py" "${names[@]/%/.jsonl}"
) >"$page.new"
mv "$page.new" "$page"
