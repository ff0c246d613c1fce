#!/bin/sh
# oclgrind_checks.sh TEST [ARGUMENT...]: a test in the Oclgrind simulator, which must find no race, uninitialised read,
# access out of bounds or wrong API use.
set -eu
report=$(mktemp)
trap 'rm -f "$report"' EXIT
OCLGRIND_DATA_RACES=1 OCLGRIND_UNINITIALIZED=1 OCLGRIND_CHECK_API=1 OCLGRIND_MAX_ERRORS=10 OCLGRIND_LOG=$report "$@"
cat "$report"
test ! -s "$report"
