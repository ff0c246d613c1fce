#!/usr/bin/env python3
"""Statistics of all of Fashion-MNIST, streamed in unequal batches through the command, against NumPy in f64.

    CLNORM=build/clnorm python3 tests/test_population.py

Skipped (status 77) where Debian's copy of the data set is not installed.
"""
import gzip
import os
import subprocess
import sys
import tempfile

import numpy as np

CLNORM = os.environ.get("CLNORM", "clnorm")
DATA = "/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz"
CUTS = [0, 1, 1, 8, 4104, 24107, 60000]  # batches of 1, 0, 7, 4096, 20003 and the rest


def clnorm(*arguments):
    subprocess.run([CLNORM, *arguments], check=True)


def off(found, expected, unit):
    """The largest error in units; where the unit is 0, only equality will do."""
    error = np.abs(found - expected)
    assert np.all(error[unit == 0] == 0), "a constant channel is not exact"
    return np.max(error[unit > 0] / unit[unit > 0])


def main():
    if not os.path.exists(DATA):
        return 77
    with gzip.open(DATA) as file:
        pixels = np.frombuffer(file.read(), np.uint8, offset=16).reshape(60000, 784)
    worst = 0
    for dtype in [np.float32, np.float16]:
        images = (pixels / np.float32(255)).astype(dtype)
        exact = images.astype(np.float64)
        mean, var = exact.mean(axis=0), exact.var(axis=0, ddof=1)
        del exact
        assert np.any(var < 1e-6) and np.any(var > 0.1)  # the border hardly ever has ink
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            names = []
            for first, end in zip(CUTS, CUTS[1:]):
                names.append(f"{first}-{end}.npy")
                np.save(names[-1], images[first:end])
            clnorm("moments", *names[:3], "-o", "a.npy")
            clnorm("moments", *names[3:5], "-o", "b.npy", "--batch", "1000")
            clnorm("moments", names[5], "-o", "b.npy", "--merge-with", "b.npy")
            clnorm("moments", "--saved", "a.npy", "b.npy", "-o", "all.npy")
            count, found, m2 = np.load("all.npy")
            os.chdir("/")
        assert np.all(count == 60000), count
        worst = max(worst, off(found, mean, np.sqrt(var)), off(m2 / (count - 1), var, var))
    print(f"60000 images, 784 channels: mean (by the deviation) and variance (relative) off by {worst:.2g} at most")
    return 0 if worst <= 1e-6 else 1


if __name__ == "__main__":
    sys.exit(main())
