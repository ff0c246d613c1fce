#!/usr/bin/env python3
"""test_mpi.py MPIEXEC PROGRAM: runs test_mpi, test_mpi_failures or test_mpi_group with the same shares on different ranks.

What test_mpi prints of each case, a digest of all that is written, must be the same whoever holds which shares.
"""
import os
import subprocess
import sys
import tempfile

# Shares of each rank. Those of a row are the same shares in the same order.
RUNS = [
    ["8", "4 4", "0 8", "8 0", "3 0 5", "2 2 2 2", "1 5 0 2"],
    ["6", "3 3", "2 2 2", "0 1 5 0"],
]
SOME = ["8", "4 4", "1 5 0 2"]  # for the other two programs


def run(mpiexec, program, shares, cache):
    # Ranks share the cores of a machine that may have one; Open MPI wants to be told that this is meant, and so is root.
    environment = {**os.environ, "CLNORM_TEST_CACHE": cache, "POCL_MAX_PTHREAD_COUNT": "1",
                   "OMPI_MCA_rmaps_base_oversubscribe": "1", "OMPI_MCA_hwloc_base_binding_policy": "none",
                   "OMPI_MCA_mpi_yield_when_idle": "1", "OMPI_ALLOW_RUN_AS_ROOT": "1",
                   "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    words = shares.split()
    done = subprocess.run([mpiexec, "-n", str(len(words)), program, *words], env=environment, stdout=subprocess.PIPE,
                          encoding="utf-8", timeout=120, check=False)
    if done.returncode != 0:
        sys.exit(f"test_mpi: {len(words)} ranks with shares {shares}: exit status {done.returncode}\n{done.stdout}")
    lines = done.stdout.splitlines()
    print(f"== {shares}", *sorted({line for line in lines if line.startswith("volume:")}), sep="\n")
    return [line for line in lines if not line.startswith(("volume:", "half"))]


def compare(mpiexec, program, cache):
    wrong = 0
    for runs in RUNS:
        results = [run(mpiexec, program, shares, cache) for shares in runs]
        assert len(results[0]) == 13, results[0]
        for shares, result in zip(runs, results):
            for one, other in zip(results[0], result, strict=True):
                if one != other:
                    wrong = 1
                    print(f"test_mpi: with shares {shares}: {other}, and with {runs[0]}: {one}")
        print(*results[0], sep="\n")
    return wrong


def main():
    mpiexec, program = sys.argv[1:]
    with tempfile.TemporaryDirectory() as cache:
        os.chmod(cache, 0o700)
        if os.path.basename(program) == "test_mpi":
            return compare(mpiexec, program, cache)
        for shares in SOME:
            print(*run(mpiexec, program, shares, cache), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
