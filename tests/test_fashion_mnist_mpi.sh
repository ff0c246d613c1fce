#!/usr/bin/env bash
# test_fashion_mnist_mpi.sh ALONE MPIEXEC SPREAD: twenty steps of 128 images by one process, and by 1 and 4 ranks: the
# losses are the same to 1e-5. Skipped (status 77) without Debian's copy of the data set.
set -euo pipefail

alone=$1 mpiexec=$2 spread=$3
[ -e /usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz ] || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Ranks share the cores of a machine that may have one; Open MPI wants to be told that this is meant, and so is root.
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_mpi_yield_when_idle=1
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1

fail() {
    echo "test_fashion_mnist_mpi: $*" >&2
    exit 1
}

options=(--train 2560 --epochs 1 --batch 128 --rate 0.2)
"$alone" "${options[@]}" --output "$work" || fail "one process failed"
tail -n +2 "$work/loss.tsv" >"$work/expected"
[ "$(wc -l <"$work/expected")" -eq 20 ] || fail "loss.tsv should have 20 points"
for ranks in 1 2 4; do
    POCL_MAX_PTHREAD_COUNT=1 "$mpiexec" -n $ranks "$spread" "${options[@]}" >"$work/spread" || fail "$ranks ranks failed"
    grep '^#' "$work/spread"
    grep -v '^#' "$work/spread" | paste "$work/expected" - | awk -v ranks=$ranks '
        {off = $2 > $5 ? $2 - $5 : $5 - $2; if (off > most) most = off; if ($1 != $4 || off > 1e-5) bad = 1}
        END {printf "%d ranks, %d steps, losses from %s on: off by %g at most\n", ranks, NR, first, most; exit bad || NR != 20}
        NR == 1 {first = $2}' || fail "the losses of $ranks ranks are not those of one process"
done
