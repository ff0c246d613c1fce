#!/usr/bin/env bash
# test_readme.sh SOURCE PROGRAM: the first C block of README.md is examples/first.c, and that program runs.
set -euo pipefail

source=$1 program=$2
block=$(awk '/^```c$/ && !done {inside = 1; next} /^```$/ && inside {inside = 0; done = 1} inside' "$source/README.md")
[ -n "$block" ] || { echo "test_readme: README.md has no C block" >&2; exit 1; }
diff <(printf '%s\n' "$block") "$source/examples/first.c" ||
    { echo "test_readme: README.md's first C block differs from examples/first.c" >&2; exit 1; }
output=$("$program")
# Mean 2.5, and standard deviation sqrt(1.25), for 1, 2, 3, 4: the first value is -1.5/sqrt(1.25).
grep -q '^ *-1\.3416 ' <<<"$output" && grep -q '^mean 2\.5 30$' <<<"$output" ||
    { echo "test_readme: the program printed:" "$output" >&2; exit 1; }
