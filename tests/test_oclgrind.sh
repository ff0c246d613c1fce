#!/bin/sh
# test_oclgrind.sh TEST_OPERATIONS OPERATION: every kernel variant of an operation in the Oclgrind
# simulator, which must find no race, uninitialised read, access out of bounds or wrong API use.
# Without -O0 its clang makes intrinsics that it cannot run.
set -eu
report=$(mktemp)
trap 'rm -f "$report"' EXIT
CLNORM_TEST_EFFORT=small oclgrind --data-races --uninitialized --check-api --max-errors 10 \
    --build-options -O0 --log "$report" "$1" "$2"
cat "$report"
test ! -s "$report"
