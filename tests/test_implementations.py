#!/usr/bin/env python3
"""Five OpenCL implementations in one process: all are listed, and all give PoCL's results.

    eval "$(scripts/opencl-implementations.sh)"
    CLNORM=build/clnorm python3 tests/test_implementations.py
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

import numpy as np

CLNORM = os.environ.get("CLNORM", "clnorm")
PLATFORMS = ["Portable Computing Language", "Oclgrind", "rusticl", "Intel(R) OpenCL", "Intel(R) FPGA Emulation Platform"]


def clnorm(*arguments):
    return subprocess.run([CLNORM, *map(str, arguments)], capture_output=True, check=True).stdout


def devices():
    return [json.loads(line) for line in clnorm("devices", "--json").splitlines()]


class Implementations(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="clnorm-implementations-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name + ".npy")

    def save(self, **arrays):
        for name, array in arrays.items():
            np.save(self.path(name), array)

    def test_all_are_listed(self):
        names = [device["platform"] for device in devices()]
        for platform in PLATFORMS:
            self.assertEqual(sum(name.startswith(platform) for name in names), 1, names)

    def test_simulators_are_nobody_s_first_choice(self):
        line = json.loads(clnorm("bench", "infer nchw f32 2x3x4", "--json"))
        self.assertNotIn(line["device"], ["Oclgrind Simulator", "llvmpipe"])

    def compare(self, command, tolerance):
        """Runs a command that writes y.npy on every device, by its index, and on the emulator by name."""
        results = {}
        for device in devices():
            clnorm(*command, "-o", self.path("y"), "--device", device["index"])
            results[device["platform"]] = np.load(self.path("y")).astype(np.float64)
        clnorm(*command, "-o", self.path("y"), "--device", "FPGA")
        results["--device FPGA"] = np.load(self.path("y")).astype(np.float64)
        expected = results["Portable Computing Language"]
        for name, y in results.items():
            with self.subTest(platform=name, command=command):
                self.assertLessEqual(np.max(np.abs(y - expected) / (1 + np.abs(expected))), tolerance)

    def test_all_give_the_same(self):
        random = np.random.default_rng(5)
        for layout, shape in ("nchw", (4, 6, 9, 7)), ("nhwc", (4, 9, 7, 6)):
            for dtype, tolerance in (np.float32, 2e-5), (np.float16, 2e-3):
                x = random.normal(3, 2, shape).astype(dtype)
                scale, shift = random.normal(1, 1, (2, 6)).astype(np.float32)
                self.save(x=x, dy=random.normal(0, 1, shape).astype(dtype), scale=scale, shift=shift,
                          mean=np.full(6, 3, np.float32), invstd=np.full(6, 0.5, np.float32), var=np.full(6, 4, np.float32))
                given = ["--layout", layout, "--scale", self.path("scale")]
                self.compare(["forward", self.path("x"), *given, "--shift", self.path("shift"), "--relu"], tolerance)
                self.compare(["infer", self.path("x"), *given, "--mean", self.path("mean"), "--var", self.path("var")], tolerance)
                self.compare(["backward", self.path("x"), self.path("dy"), *given, "--mean", self.path("mean"),
                              "--invstd", self.path("invstd")], tolerance)


if __name__ == "__main__":
    unittest.main()
