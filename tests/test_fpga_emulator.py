#!/usr/bin/env python3
"""The clnorm command on Intel's FPGA emulator: it must say what it says on PoCL, within the tolerance of both.

    CLNORM=build/clnorm python3 tests/test_fpga_emulator.py

The implementations are those of scripts/opencl-implementations.sh. Without the emulator the exit status is 77.
"""
import atexit
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

CLNORM = os.environ.get("CLNORM", "clnorm")
ON_IMPLEMENTATION = str(pathlib.Path(__file__).resolve().parent / "on_implementation.sh")
RANDOM = np.random.default_rng(20150211)
DEVICE = {"pocl": ("--device", "Portable"), "intel-fpga": ("--device", "FPGA")}
FOLDER = tempfile.mkdtemp(prefix="clnorm-fpga-")
atexit.register(shutil.rmtree, FOLDER)

# Layout, shape: rows of a vector, ragged rows, rows shorter than a vector, channels that fill no vector, several tiles.
SHAPES = [("nchw", (2, 16, 8, 8)), ("nchw", (3, 19, 7, 7)), ("nchw", (5, 9, 3)), ("nchw", (7, 5)), ("nchw", (2, 70, 33)),
          ("nhwc", (2, 8, 8, 16)), ("nhwc", (3, 7, 7, 19)), ("nhwc", (5, 3, 3)), ("nhwc", (2, 17, 70))]


def on(implementation, *command):
    env = {**os.environ, "CLNORM_CACHE_DIR": os.path.join(FOLDER, "cache")}
    return subprocess.run([ON_IMPLEMENTATION, implementation, *map(str, command)], env=env, capture_output=True, check=False)


def clnorm(implementation, *arguments):
    done = on(implementation, CLNORM, *arguments)
    if done.returncode:
        raise AssertionError(f"clnorm {' '.join(map(str, arguments))}: {done.stderr.decode()}")
    return done.stdout.decode()


def path(name):
    return os.path.join(FOLDER, name + ".npy")


def save(**arrays):
    for name, array in arrays.items():
        np.save(path(name), array)


def unit(dtype):
    return 1e-12 if dtype == np.float64 else 1e-5


class Forward(unittest.TestCase):
    outputs = ("y", "mean", "invstd", "new_mean", "new_var")

    def run_on(self, implementation, layout):
        clnorm(implementation, "forward", path("x"), "-o", path("y"), "--layout", layout, *DEVICE[implementation], "--relu",
               "--scale", path("scale"), "--shift", path("shift"), "--add", path("add"),
               "--running-mean", path("running_mean"), "--running-var", path("running_var"),
               "--new-running-mean", path("new_mean"), "--new-running-var", path("new_var"),
               "--save-mean", path("mean"), "--save-invstd", path("invstd"))
        return {name: np.load(path(name)).astype(np.float64) for name in self.outputs}

    def check(self, layout, shape, dtype):
        channels = shape[1 if layout == "nchw" else -1]
        small = np.float64 if dtype == np.float64 else np.float32
        save(x=(3 + 2 * RANDOM.standard_normal(shape)).astype(dtype), add=RANDOM.standard_normal(shape).astype(dtype),
             scale=RANDOM.uniform(0.5, 1.5, channels).astype(small), shift=RANDOM.standard_normal(channels).astype(small),
             running_mean=RANDOM.standard_normal(channels).astype(small),
             running_var=RANDOM.uniform(0.5, 1.5, channels).astype(small))
        one, other = self.run_on("pocl", layout), self.run_on("intel-fpga", layout)
        for name in self.outputs:
            self.assertTrue(np.isfinite(one[name]).all())
            tolerance = 2 * unit(dtype) * (1 + np.abs(one[name]))
            if name == "y" and dtype == np.float16:
                tolerance += 2.0**-10 * np.abs(one[name]) + 2.0**-24  # rounded to a neighbour, the other one
            worst = np.max(np.abs(one[name] - other[name]) / tolerance)
            self.assertLessEqual(worst, 1, f"{layout} {shape} {dtype.__name__}: {name}")

    def test_f32(self):
        for layout, shape in SHAPES:
            with self.subTest(layout=layout, shape=shape):
                self.check(layout, shape, np.float32)

    def test_f16_and_f64(self):
        for dtype in (np.float16, np.float64):
            for layout, shape in (SHAPES[1], SHAPES[6]):
                with self.subTest(layout=layout, dtype=dtype):
                    self.check(layout, shape, dtype)


class Infer(unittest.TestCase):
    def test_f32(self):
        for layout, shape in (SHAPES[1], SHAPES[6]):
            channels = shape[1 if layout == "nchw" else -1]
            save(x=RANDOM.standard_normal(shape).astype(np.float32),
                 mean=RANDOM.standard_normal(channels).astype(np.float32),
                 var=RANDOM.uniform(0.5, 1.5, channels).astype(np.float32))
            outputs = []
            for implementation in ("pocl", "intel-fpga"):
                clnorm(implementation, "infer", path("x"), "-o", path("y"), "--mean", path("mean"), "--var", path("var"),
                       "--layout", layout, *DEVICE[implementation])
                outputs.append(np.load(path("y")))
            np.testing.assert_allclose(*outputs, rtol=2e-5, atol=2e-5)


class Kernels(unittest.TestCase):
    def test_the_emulator_gets_the_pipeline(self):
        """Its compiler takes the attributes and pragmas, and its device is launched as a single work-item."""
        self.assertIn("walk=pipeline", clnorm("intel-fpga", "emit", "forward nchw f32 ?x64x?", "--device", "FPGA"))
        self.assertRegex(clnorm("intel-fpga", "devices"), r"(?m)^ +fpga, ")


if __name__ == "__main__":
    ready = on("intel-fpga", "true")
    if ready.returncode == 77:
        print("SKIPPED:", ready.stderr.decode().strip(), file=sys.stderr)
        sys.exit(77)
    unittest.main()
