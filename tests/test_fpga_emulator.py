#!/usr/bin/env python3
"""The clnorm command on Intel's FPGA emulator: it must say what it says on PoCL, within the tolerance of both.

    CLNORM=build/clnorm DATAFLOW=build/test_dataflow python3 tests/test_fpga_emulator.py

The emulator is the library libintelocl_emu.so of the Python wheel intel-opencl-fpga-emu-rt. It is looked for where
CLNORM_FPGA_EMULATOR says, then in build-opencl/intel/lib. Where there is none the exit status is 77.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

CLNORM = os.environ.get("CLNORM", "clnorm")
DATAFLOW = os.environ.get("DATAFLOW", "test_dataflow")
ROOT = pathlib.Path(__file__).resolve().parent.parent
PLACES = [os.environ.get("CLNORM_FPGA_EMULATOR", ""),
          os.path.join(os.environ.get("CLNORM_OPENCL_FOLDER", ROOT / "build-opencl"), "intel/lib/libintelocl_emu.so")]
LIBRARY = next((place for place in PLACES if place and os.path.exists(place)), None)
POCL = os.environ.get("CLNORM_POCL_ICD", "/etc/OpenCL/vendors/pocl.icd")
RANDOM = np.random.default_rng(20150211)
FOLDER = tempfile.mkdtemp(prefix="clnorm-fpga-")

# Layout, shape: rows of a vector, ragged rows, rows shorter than a vector, channels that fill no vector, several tiles.
SHAPES = [("nchw", (2, 16, 8, 8)), ("nchw", (3, 19, 7, 7)), ("nchw", (5, 9, 3)), ("nchw", (7, 5)), ("nchw", (2, 70, 33)),
          ("nhwc", (2, 8, 8, 16)), ("nhwc", (3, 7, 7, 19)), ("nhwc", (5, 3, 3)), ("nhwc", (2, 17, 70))]


def tearDownModule():
    shutil.rmtree(FOLDER)


def environment(icd):
    """One implementation alone, with caches of its own."""
    env = {**os.environ, "OCL_ICD_VENDORS": icd, "CLNORM_CACHE_DIR": os.path.join(FOLDER, "cache")}
    libraries = [os.path.dirname(LIBRARY), env.get("LD_LIBRARY_PATH", "")]
    return {**env, "LD_LIBRARY_PATH": os.pathsep.join(filter(None, libraries))} if icd != POCL else env


def emulator():
    icd = os.path.join(FOLDER, "icd")
    os.makedirs(icd, exist_ok=True)
    with open(os.path.join(icd, "emulator.icd"), "w", encoding="ascii") as file:
        file.write(LIBRARY + "\n")
    return icd


def clnorm(icd, *arguments):
    done = subprocess.run([CLNORM, *map(str, arguments)], env=environment(icd), capture_output=True, check=False)
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

    def run_on(self, icd, device, layout):
        clnorm(icd, "forward", path("x"), "-o", path("y"), "--layout", layout, "--device", device, "--relu",
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
        one = self.run_on(POCL, "Portable", layout)
        other = self.run_on(emulator(), "FPGA", layout)
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
            for icd, device in ((POCL, "Portable"), (emulator(), "FPGA")):
                clnorm(icd, "infer", path("x"), "-o", path("y"), "--mean", path("mean"), "--var", path("var"),
                       "--layout", layout, "--device", device)
                outputs.append(np.load(path("y")))
            np.testing.assert_allclose(*outputs, rtol=2e-5, atol=2e-5)


class Kernels(unittest.TestCase):
    def test_dataflow(self):
        done = subprocess.run([DATAFLOW], env=environment(emulator()), capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def test_the_emulator_gets_the_pipeline(self):
        """Its compiler takes the attributes and pragmas, and its device is launched as a single work-item."""
        self.assertIn("walk=pipeline", clnorm(emulator(), "emit", "forward nchw f32 ?x64x?", "--device", "FPGA"))
        self.assertRegex(clnorm(emulator(), "devices"), r"(?m)^ +fpga, ")


if __name__ == "__main__":
    if not LIBRARY:
        print("SKIPPED: Intel's FPGA emulator is not installed; looked for", *filter(None, PLACES), file=sys.stderr)
        sys.exit(77)
    unittest.main()
