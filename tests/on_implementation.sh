#!/bin/sh
# on_implementation.sh NAME COMMAND...: runs a test on one OpenCL implementation of scripts/opencl-implementations.sh, on
# several ("NAME NAME"), on `all`, or on `machine`, whatever the machine has. Exit status 77, which ctest reports as
# skipped, where one is not set up.
set -eu
name=$1
shift
set_up=$(dirname "$0")/../scripts/opencl-implementations.sh
case $name in
machine) exec "$@" ;;
all) exports=$("$set_up" --ready) || exit 77 ;;
*) exports=$("$set_up" --ready $name) || exit 77 ;;
esac
eval "$exports"
exec "$@"
