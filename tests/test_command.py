#!/usr/bin/env python3
"""The clnorm command against NumPy in f64, and what it says about wrong usage and wrong files.

    CLNORM=build/clnorm OFFLINE_COMPILER=build/offline_compiler python3 tests/test_command.py

CLNORM names the command, OFFLINE_COMPILER what stands for a vendor's (tests/offline_compiler.c). One cache folder serves all tests, so that each program is compiled once.
"""
import glob
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

import numpy as np

CLNORM = os.environ.get("CLNORM", "clnorm")
OFFLINE_COMPILER = os.environ.get("OFFLINE_COMPILER", "offline_compiler")
CACHE = tempfile.mkdtemp(prefix="clnorm-command-cache-")
RANDOM = np.random.default_rng(20150211)
EPSILON = 1e-5


def tearDownModule():
    shutil.rmtree(CACHE)


def clnorm(*arguments, stdin=b"", cwd=None, **environment):
    """Runs the command and returns the finished process; outputs are bytes."""
    env = {**os.environ, "CLNORM_CACHE_DIR": CACHE, **environment}
    return subprocess.run([CLNORM, *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd, env=env, check=False)


def npy_bytes(array, version=None):
    out = io.BytesIO()
    np.lib.format.write_array(out, array, version=version)
    return out.getvalue()


def channel_axis(layout, rank):
    return 1 if layout == "nchw" else rank - 1


def wide(vector, rank, layout):
    """One value for each channel, shaped to broadcast over the array; in f64."""
    shape = [1] * rank
    shape[channel_axis(layout, rank)] = -1
    return np.asarray(vector, np.float64).reshape(shape)


def other_axes(rank, layout):
    return tuple(a for a in range(rank) if a != channel_axis(layout, rank))


def moments64(x, layout):
    """Two-pass mean and biased variance in f64 of the stored values."""
    x = x.astype(np.float64)
    axes = other_axes(x.ndim, layout)
    mean = x.mean(axis=axes)
    return mean, ((x - wide(mean, x.ndim, layout)) ** 2).mean(axis=axes)


def infer64(x, mean, var, layout, scale=None, shift=None, add=None, relu=False, epsilon=EPSILON):
    y = (x.astype(np.float64) - wide(mean, x.ndim, layout)) / np.sqrt(wide(var, x.ndim, layout) + epsilon)
    y = y if scale is None else y * wide(scale, x.ndim, layout)
    y = y if shift is None else y + wide(shift, x.ndim, layout)
    y = y if add is None else y + add.astype(np.float64)
    return np.maximum(y, 0) if relu else y


def backward64(x, dy, mean, invstd, layout, scale=None, y=None, frozen=False):
    axes, rank = other_axes(x.ndim, layout), x.ndim
    dadd = dy.astype(np.float64) * (1 if y is None else y.astype(np.float64) > 0)
    xhat = (x.astype(np.float64) - wide(mean, rank, layout)) * wide(invstd, rank, layout)
    dshift, dscale = dadd.sum(axis=axes), (dadd * xhat).sum(axis=axes)
    count = x.size // x.shape[channel_axis(layout, rank)]
    inner = dadd if frozen else dadd - wide(dshift, rank, layout) / count - xhat * wide(dscale, rank, layout) / count
    ones = np.ones(x.shape[channel_axis(layout, rank)])
    dx = wide(ones if scale is None else scale, rank, layout) * wide(invstd, rank, layout) * inner
    return {"dx": dx, "dscale": dscale, "dshift": dshift, "dadd": dadd}


# What y may be off by, and sums and statistics relative to the largest of them.
def y_tolerance(expected, dtype):
    if dtype == np.float16:  # rounded once, after f32 arithmetic
        return np.spacing(np.abs(expected).astype(np.float16)).astype(np.float64) / 2 + 1e-6 * (1 + np.abs(expected))
    return (1e-12 if dtype == np.float64 else 1e-5) * (1 + np.abs(expected))


class CommandTest(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="clnorm-command-")
        self.addCleanup(shutil.rmtree, self.dir)

    def path(self, name):
        return os.path.join(self.dir, name)

    def save(self, name, array):
        np.save(self.path(name), array)
        return self.path(name)

    def run_ok(self, *arguments, **more):
        done = clnorm(*arguments, cwd=self.dir, **more)
        self.assertEqual((done.returncode, done.stderr), (0, b""), arguments)
        return done.stdout

    def assert_refused(self, done, status, says):
        """The exit status, and exactly one line on standard error that holds `says`."""
        text = done.stderr.decode()
        self.assertEqual(done.returncode, status, text)
        self.assertTrue(text.startswith("clnorm: ") and text.endswith("\n") and text.count("\n") == 1, repr(text))
        self.assertIn(says, text)

    def load(self, name, dtype, shape):
        array = np.load(self.path(name))
        self.assertEqual((array.dtype, array.shape), (np.dtype(dtype), tuple(shape)))
        return array.astype(np.float64)

    def assert_within(self, found, expected, tolerance):
        off = np.abs(found - expected) - tolerance
        self.assertTrue(np.all(off <= 0), f"off by {np.max(np.abs(found - expected))}")


DTYPES = {"f2": np.float16, "f4": np.float32, "f8": np.float64}
# Few numbers of channels, hence few programs. The last shape of each is long enough for vectors, and odd: rows start anywhere.
SHAPES = {"nchw": [(6, 5), (3, 5, 7), (2, 5, 2, 3, 4), (3, 5, 11, 61)], "nhwc": [(6, 5), (2, 3, 6, 5), (3, 7, 5, 37)]}


def combinations():
    for layout, shapes in SHAPES.items():
        for shape in shapes:
            for dtype in DTYPES.values():
                yield layout, shape, dtype, np.float64 if dtype == np.float64 else np.float32


class Numbers(CommandTest):
    def forward(self, x, layout, *options):
        self.save("x.npy", x)
        self.run_ok("forward", "x.npy", "-o", "y.npy", "--layout", layout, "--save-mean", "m.npy", "--save-invstd",
                    "i.npy", *options)

    def check_statistics(self, x, layout, parameter, epsilon=EPSILON):
        mean, var = moments64(x, layout)
        relative = 1e-12 if parameter == np.float64 else 1e-5
        saved = self.load("m.npy", parameter, mean.shape)
        invstd = self.load("i.npy", parameter, mean.shape)
        self.assert_within(saved, mean, relative * (np.abs(mean) + np.sqrt(var)))
        self.assert_within(1 / invstd ** 2, var + epsilon, relative * (var + epsilon))
        return mean, var

    def test_forward(self):
        for layout, shape, dtype, parameter in combinations():
            with self.subTest(layout=layout, shape=shape, dtype=dtype.__name__):
                x = RANDOM.normal(3, 2, shape).astype(dtype)
                channels = shape[channel_axis(layout, len(shape))]
                scale, shift = RANDOM.normal(1, 0.5, channels), RANDOM.normal(0, 1, channels)
                scale, shift = scale.astype(parameter), shift.astype(parameter)
                add = RANDOM.normal(0, 1, shape).astype(dtype)
                self.forward(x, layout)
                mean, var = self.check_statistics(x, layout, parameter)
                expected = infer64(x, mean, var, layout)
                self.assert_within(self.load("y.npy", dtype, shape), expected, y_tolerance(expected, dtype))

                self.save("g.npy", scale), self.save("b.npy", shift), self.save("a.npy", add)
                self.forward(x, layout, "--scale", "g.npy", "--shift=b.npy", "--add", "a.npy", "--relu", "--epsilon=1e-3")
                self.check_statistics(x, layout, parameter, 1e-3)
                expected = infer64(x, mean, var, layout, scale, shift, add, True, 1e-3)
                self.assert_within(self.load("y.npy", dtype, shape), expected, y_tolerance(expected, dtype))

    def test_hard_data(self):
        """Mean/std of 1e6; an outlier first; a constant channel; where sums of squares and a bad shift would lose it."""
        for layout in SHAPES:
            x = RANDOM.normal(0, 1, (4, 3, 2000))
            x[:, 0] += 1e6
            x[:, 1] *= 1e-3
            x[0, 1, 0] = 1e6
            x[:, 2] = 12345.678
            x = (x if layout == "nchw" else np.moveaxis(x, 1, 2)).astype(np.float32)
            with self.subTest(layout=layout):
                self.forward(x, layout)
                mean, var = self.check_statistics(x, layout, np.float32)
                expected = infer64(x, mean, var, layout)
                self.assert_within(self.load("y.npy", np.float32, x.shape), expected, y_tolerance(expected, np.float32))

    def test_epsilon_zero(self):
        x = RANDOM.normal(0, 1e-4, (8, 3, 50)).astype(np.float32)
        self.forward(x, "nchw", "--epsilon", "0")
        self.check_statistics(x, "nchw", np.float32, 0)

    def test_running_statistics(self):
        x = RANDOM.normal(5, 3, (4, 3, 6)).astype(np.float32)
        mean, var = moments64(x, "nchw")
        before = {"rm.npy": np.array([1, -2, 3], "f2"), "rv.npy": np.array([4, 5, 6], "f8")}
        names = ["--running-mean", "rm.npy", "--running-var", "rv.npy", "--new-running-mean", "rm.npy",
                 "--new-running-var", "nv.npy"]
        for options, momentum, factor in [((), 0.1, 24 / 23), (("--momentum", "0.25", "--biased"), 0.25, 1),
                                          (("--momentum=1",), 1, 24 / 23)]:
            with self.subTest(options=options):
                for name, array in before.items():
                    self.save(name, array)
                self.forward(x, "nchw", *names, *options)  # rm.npy is read and then replaced
                new_mean = (1 - momentum) * before["rm.npy"].astype(float) + momentum * mean
                new_var = (1 - momentum) * before["rv.npy"] + momentum * var * factor
                self.assert_within(self.load("rm.npy", np.float32, (3,)), new_mean, 1e-5 * (1 + np.abs(new_mean)))
                self.assert_within(self.load("nv.npy", np.float32, (3,)), new_var, 1e-5 * (1 + new_var))

    def test_infer(self):
        for layout, shape, dtype, parameter in combinations():
            with self.subTest(layout=layout, shape=shape, dtype=dtype.__name__):
                channels = shape[channel_axis(layout, len(shape))]
                x, add = RANDOM.normal(1, 2, (2, *shape)).astype(dtype)
                vectors = {"m": RANDOM.normal(1, 1, channels), "v": RANDOM.uniform(0.1, 4, channels),
                           "g": RANDOM.normal(1, 1, channels), "b": RANDOM.normal(0, 1, channels)}
                vectors = {name: v.astype(parameter) for name, v in vectors.items()}
                for name, array in {"x": x, "a": add, **vectors}.items():
                    self.save(name + ".npy", array)
                self.run_ok("infer", "x.npy", "-o", "y.npy", "--mean", "m.npy", "--var", "v.npy", "--layout", layout,
                            "--scale", "g.npy", "--shift", "b.npy", "--add", "a.npy", "--relu", "--device", "0")
                expected = infer64(x, vectors["m"], vectors["v"], layout, vectors["g"], vectors["b"], add, True)
                self.assert_within(self.load("y.npy", dtype, shape), expected, y_tolerance(expected, dtype))

    def statistics_of(self, arrays, layout):
        """Rows count, mean, m2 over all arrays in f64, each channel's values put together."""
        axes = [channel_axis(layout, a.ndim) for a in arrays]
        values = np.concatenate([np.moveaxis(a.astype(np.float64), axis, 0).reshape(a.shape[axis], -1)
                                 for a, axis in zip(arrays, axes)], axis=1)
        return np.stack([np.full(len(values), values.shape[1]), values.mean(axis=1), values.var(axis=1) * values.shape[1]])

    def check_statistics_file(self, name, expected, relative=1e-5):
        found = self.load(name, np.float64, expected.shape)
        np.testing.assert_array_equal(found[0], expected[0])
        self.assert_within(found[1], expected[1], relative * (np.abs(expected[1]) + np.sqrt(expected[2] / expected[0])))
        self.assert_within(found[2], expected[2], relative * expected[2])

    def test_moments(self):
        """Any number of arrays of any rank, dtype and batch; in one go, in batches, continued and merged."""
        for layout in SHAPES:
            with self.subTest(layout=layout):
                arrays = [RANDOM.normal(3, 2, shape).astype(dtype)
                          for shape, dtype in zip(SHAPES["nchw"], [np.float32, np.float16, np.float64, np.float32])]
                arrays = arrays if layout == "nchw" else [np.ascontiguousarray(np.moveaxis(a, 1, -1)) for a in arrays]
                names = [self.save(f"x{i}.npy", array) for i, array in enumerate(arrays)]
                expected = self.statistics_of(arrays, layout)
                self.run_ok("moments", *names, "-o", "s.npy", "--layout", layout)
                self.check_statistics_file("s.npy", expected)
                self.run_ok("moments", *names, "-o", "t.npy", "--layout", layout, "--batch", "2", "--device", "0")
                self.check_statistics_file("t.npy", expected)
                self.run_ok("moments", *names[1:3], "-o", "old.npy", "--layout", layout)
                self.run_ok("moments", "-", names[3], "-o", "old.npy", "--layout", layout, "--merge-with", "old.npy",
                            "--batch=1", stdin=npy_bytes(arrays[0]))
                self.check_statistics_file("old.npy", expected)
                self.run_ok("moments", "--saved", "s.npy", "t.npy", "old.npy", "-o", "three.npy")
                self.check_statistics_file("three.npy", self.statistics_of(3 * arrays, layout))

    def test_moments_of_hardly_anything(self):
        x = self.save("x.npy", np.array([[[4, np.nan]], [[4, 1]]], "f4").reshape(2, 2))
        self.run_ok("moments", x, "-o", "s.npy")
        count, mean, m2 = np.load(self.path("s.npy"))
        np.testing.assert_array_equal([count, mean, m2], [[2, 2], [4, np.nan], [0, np.nan]])
        self.save("none.npy", np.zeros((0, 2, 3), "f8"))
        self.run_ok("moments", "none.npy", "none.npy", "-o", "s.npy")
        np.testing.assert_array_equal(np.load(self.path("s.npy")), np.zeros((3, 2)))
        self.run_ok("moments", "--saved", "s.npy", "-o", "-", OCL_ICD_VENDORS="/nonexistent")  # needs no device

    def test_infer_with_statistics(self):
        for layout, shape, dtype, parameter in combinations():
            with self.subTest(layout=layout, shape=shape, dtype=dtype.__name__):
                x = RANDOM.normal(3, 2, shape).astype(dtype)
                name = self.save("x.npy", x)
                self.run_ok("moments", name, "-o", "s.npy", "--layout", layout)
                count, mean, m2 = np.load(self.path("s.npy"))
                for options, var in [([], m2 / (count - 1)), (["--biased"], m2 / count)]:
                    self.run_ok("infer", name, "-o", "y.npy", "--layout", layout, "--statistics", "s.npy", *options)
                    expected = infer64(x, mean.astype(parameter), var.astype(parameter), layout)
                    self.assert_within(self.load("y.npy", dtype, shape), expected, y_tolerance(expected, dtype))

    def check_backward(self, x, dy, layout, parameter, options, **given):
        outputs = ["--dscale", "dscale.npy", "--dshift", "dshift.npy", "--dadd", "dadd.npy"]
        if given.get("frozen"):
            outputs = outputs[:4]
        self.run_ok("backward", "x.npy", "dy.npy", "-o", "dx.npy", "--mean", "m.npy", "--invstd", "i.npy", "--layout",
                    layout, *outputs, *options)
        channels = (x.shape[channel_axis(layout, x.ndim)],)
        mean, invstd = self.load("m.npy", parameter, channels), self.load("i.npy", parameter, channels)
        expected = backward64(x, dy, mean, invstd, layout, **given)
        relative = 1e-12 if parameter == np.float64 else 1e-5
        for name in ["dx"] + [o[2:] for o in outputs[::2]]:
            tensor = expected[name].ndim > 1
            found = self.load(name + ".npy", x.dtype if tensor else parameter, expected[name].shape)
            tolerance = relative * np.max(np.abs(expected[name]))
            if tensor and x.dtype == np.float16:
                tolerance = tolerance + y_tolerance(expected[name], x.dtype)
            elif not tensor:  # a sum of M values, each rounded
                tolerance = tolerance + relative * np.sum(np.abs(dy.astype(float))) / channels[0]
            with self.subTest(output=name):
                self.assert_within(found, expected[name], tolerance)

    def test_backward(self):
        for layout, shape, dtype, parameter in combinations():
            with self.subTest(layout=layout, shape=shape, dtype=dtype.__name__):
                x, dy = RANDOM.normal(2, 3, shape).astype(dtype), RANDOM.normal(0, 1, shape).astype(dtype)
                scale = RANDOM.normal(1, 0.5, shape[channel_axis(layout, len(shape))]).astype(parameter)
                self.save("dy.npy", dy), self.save("g.npy", scale)
                self.forward(x, layout)
                self.check_backward(x, dy, layout, parameter, [])
                self.forward(x, layout, "--scale", "g.npy", "--relu")
                y = np.load(self.path("y.npy"))
                self.check_backward(x, dy, layout, parameter, ["--scale", "g.npy", "--relu", "--y", "y.npy"],
                                    scale=scale, y=y)
                self.check_backward(x, dy, layout, parameter, ["--scale", "g.npy", "--frozen"], scale=scale, frozen=True)

    def test_empty_arrays(self):
        for layout, shape in [("nchw", (0, 3, 4)), ("nchw", (2, 3, 0)), ("nhwc", (0, 3))]:
            with self.subTest(shape=shape):
                self.forward(np.zeros(shape, np.float32), layout)
                self.load("y.npy", np.float32, shape)
                self.assertTrue(np.all(self.load("m.npy", np.float32, (3,)) == 0))

    def test_one_value(self):
        """M = 1: the variance is 0, and the running one is too."""
        self.save("z.npy", np.zeros(3, "f4"))
        self.forward(np.array([[1, 2, 3]], "f4"), "nchw", "--running-mean", "z.npy", "--running-var", "z.npy",
                     "--momentum", "1", "--new-running-var", "nv.npy")
        self.assertTrue(np.all(self.load("y.npy", np.float32, (1, 3)) == 0))
        self.assertTrue(np.all(self.load("nv.npy", np.float32, (3,)) == 0))

    def test_pipes_and_versions(self):
        x = RANDOM.normal(0, 1, (2, 3, 4)).astype(np.float32)
        self.forward(x, "nchw")
        expected = np.load(self.path("y.npy"))
        for version in [(1, 0), (2, 0), (3, 0)]:
            out = self.run_ok("forward", "-", "-o", "-", stdin=npy_bytes(x, version))
            np.testing.assert_array_equal(np.load(io.BytesIO(out)), expected)
        self.run_ok("forward", "x.npy", "-o", "x.npy")  # in place of the input
        np.testing.assert_array_equal(np.load(self.path("x.npy")), expected)

    def test_same_bits_every_run(self):
        x = RANDOM.normal(0, 1, (16, 8, 300)).astype(np.float32)
        self.save("x.npy", x)
        runs = {self.run_ok("forward", "x.npy", "-o", "-") for _ in range(3)}
        self.assertEqual(len(runs), 1)


class WrongFiles(CommandTest):
    """Everything that a file can have wrong: status 1, one line, and no output."""

    def setUp(self):
        super().setUp()
        self.x = RANDOM.normal(0, 1, (2, 3, 4)).astype(np.float32)
        self.save("x.npy", self.x)
        self.save("c.npy", np.ones(3, np.float32))

    def assert_no_output(self):
        self.assertEqual(glob.glob(self.path("*.out*")) + glob.glob(self.path("*.tmp*")), [])

    def refuse(self, says, *arguments, status=1, **more):
        with self.subTest(arguments=arguments):
            done = clnorm(*arguments, cwd=self.dir, **more)
            self.assert_refused(done, status, says)
            self.assertEqual(done.stdout, b"")
            self.assert_no_output()

    def test_arrays(self):
        good = npy_bytes(self.x)
        cases = {
            "Fortran order": npy_bytes(np.asfortranarray(self.x)),
            "dtype '<i4'": npy_bytes(self.x.astype("<i4")),
            "dtype '>f4'": npy_bytes(self.x.astype(">f4")),
            "dtype '|O'": npy_bytes(np.array([[None, 1]], object)),
            "dtype '|b1'": npy_bytes(self.x > 0),
            "structured dtype": npy_bytes(np.zeros((2, 3), [("a", "<f4")])),
            "1 axes": npy_bytes(self.x[0, 0]),
            "0 axes": npy_bytes(self.x[0, 0, 0]),
            "holds 95 bytes": good[:-1],
            "holds more than the 96 bytes": good + b"\0",
            "ends inside": good[:40],
            "not a .npy file": b"PK\3\4 an archive",
            "is not a .npy": b"",
            "version 9.0": good[:6] + b"\x09" + good[7:],
            "channels": npy_bytes(np.zeros((2, 0, 3), np.float32)),
        }
        for says, content in cases.items():
            with open(self.path("bad.npy"), "wb") as file:
                file.write(content)
            self.refuse(says, "forward", "bad.npy", "-o", "y.out")
            self.refuse(says, "forward", "-", "-o", "y.out", stdin=content)
            self.refuse(says, "forward", "bad.npy", "-o", "-")

    def test_mismatches(self):
        self.save("four.npy", np.ones(4, np.float32))
        self.save("square.npy", np.ones((3, 1), np.float32))
        self.save("half.npy", self.x.astype(np.float16))
        self.save("turned.npy", self.x.reshape(4, 3, 2))
        forward = ["forward", "x.npy", "-o", "y.out"]
        self.refuse("--scale: four.npy has 4 values", *forward, "--scale", "four.npy")
        self.refuse("has 4 channels", *forward, "--scale", "c.npy", "--layout", "nhwc")
        self.refuse("--shift: square.npy has 2 axes", *forward, "--shift", "square.npy")
        self.refuse("--add: half.npy is f16", *forward, "--add", "half.npy")
        self.refuse("--add: turned.npy is 4x3x2", *forward, "--add", "turned.npy")
        self.refuse("No such file", *forward, "--scale", "missing.npy")
        self.refuse("directory", "forward", self.dir, "-o", "y.out")
        self.refuse("DY.npy: turned.npy", "backward", "x.npy", "turned.npy", "-o", "dx.out", "--mean", "c.npy",
                    "--invstd", "c.npy", "--dscale", "ds.out")
        self.refuse("--var: four.npy", "infer", "x.npy", "-o", "y.out", "--mean", "c.npy", "--var", "four.npy")

    def test_statistics(self):
        infer = ["infer", "x.npy", "-o", "y.out", "--statistics"]
        moments = ["moments", "x.npy", "-o", "s.out"]
        good = np.array([[2, 2, 2], [1, 1, 1], [0, 1, 2]], "f8")
        self.save("four.npy", np.zeros((3, 4)))
        self.refuse("--statistics: four.npy is of 4 channels", *infer, "four.npy")
        self.refuse("x.npy has 3 channels", *moments, "--merge-with", "four.npy")
        for says, array in [("three rows", good.astype("f4")), ("three rows", good[:2]), ("three rows", good[0]),
                            ("channel 1", good * [[1, -1, 1], [1, 1, 1], [1, 1, 1]]),
                            ("channel 2", good * [[1, 1, np.nan], [1, 1, 1], [1, 1, 1]]),
                            ("channel 2", good * [[1, 1, 1], [1, 1, 1], [1, 1, -1]]),
                            ("channel 0", good * [[0, 1, 1], [1, 1, 1], [1, 1, 1]]),
                            ("channels", np.zeros((3, 0)))]:
            self.save("bad.npy", array)
            self.refuse("--statistics: bad.npy", *infer, "bad.npy")
            self.refuse(says, *infer, "bad.npy")
            self.refuse(says, *moments, "--merge-with", "bad.npy")
            self.refuse(says, "moments", "--saved", "bad.npy", "-o", "s.out")
        self.save("wide.npy", np.zeros((2, 4, 3), "f4"))
        self.refuse("wide.npy has 4 channels (nchw), and what came before has 3", "moments", "x.npy", "wide.npy", "-o",
                    "s.out")
        self.refuse("wide.npy has 3 channels (nhwc), and what came before has 4", "moments", "x.npy", "wide.npy", "-o",
                    "s.out", "--layout", "nhwc")
        self.refuse("No such file", "moments", "x.npy", "missing.npy", "-o", "s.out")
        for content, says in [(npy_bytes(self.x)[:-1], "holds 95 bytes"), (npy_bytes(self.x) + b"\0", "more than the 96"),
                              (npy_bytes(self.x[0, 0]), "1 axes"), (b"", "not a .npy")]:
            self.refuse(says, "moments", "-", "-o", "s.out", stdin=content)
            self.refuse(says, "moments", "x.npy", "-", "-o", "s.out", "--batch", "1", stdin=content)

    def test_all_outputs_or_none(self):
        forward = ["forward", "x.npy", "-o", "y.out"]
        self.refuse("No such file", *forward, "--save-mean", "missing/m.out")
        self.refuse("directory", *forward, "--save-mean", ".")
        self.refuse("No space left", *forward, "--save-mean", "/dev/full")
        self.refuse("also the file of -o", *forward, "--save-mean", "./y.out", status=2)
        self.refuse("also the file of -o", "forward", "x.npy", "-o", "-", "--save-mean", "-", status=2)
        self.save("old.npy", np.zeros(3))
        os.symlink("old.npy", self.path("link.npy"))
        self.refuse("also the file of --save-mean", *forward, "--save-mean", "old.npy", "--save-invstd", "link.npy",
                    status=2)
        self.assertTrue(np.all(np.load(self.path("old.npy")) == 0))

    def test_outputs_keep_mode_and_links(self):
        self.save("old.npy", np.zeros(3))
        os.chmod(self.path("old.npy"), 0o640)
        os.symlink("old.npy", self.path("link.npy"))
        self.run_ok("forward", "x.npy", "-o", "link.npy", "--save-mean", "/dev/null")
        self.assertTrue(os.path.islink(self.path("link.npy")))
        self.assertEqual(os.stat(self.path("old.npy")).st_mode & 0o777, 0o640)
        self.assertEqual(np.load(self.path("old.npy")).shape, self.x.shape)
        self.assertFalse(os.path.isfile("/dev/null"))

    def test_closed_standard_output(self):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run([CLNORM, "forward", "x.npy", "-o", "-", "--save-mean", "m.out"], stdout=write,
                              stderr=subprocess.PIPE, cwd=self.dir, env={**os.environ, "CLNORM_CACHE_DIR": CACHE},
                              check=False)
        os.close(write)
        self.assert_refused(done, 1, "Broken pipe")
        self.assert_no_output()

    def test_wrong_usage(self):
        forward = ["forward", "x.npy", "-o", "y.out"]
        running = [*forward, "--running-mean", "c.npy", "--running-var", "c.npy"]
        backward = ["backward", "x.npy", "x.npy", "-o", "dx.out", "--mean", "c.npy", "--invstd", "c.npy"]
        for says, arguments in [
            ("a command is missing", []),
            ("'normalise' is not a command", ["normalise"]),
            ("X.npy is missing", ["forward"]),
            ("-o is missing", ["forward", "x.npy"]),
            ("one argument too many", [*forward, "x.npy"]),
            ("--colour is not an option", [*forward, "--colour"]),
            ("--epsilon has no value", [*forward, "--epsilon"]),
            ("--scale has no value", [*forward, "--scale", "--relu"]),
            ("--relu is given twice", [*forward, "--relu", "--relu"]),
            ("--relu takes no value", [*forward, "--relu=1"]),
            ("--epsilon: '-1' is not valid", [*forward, "--epsilon", "-1"]),
            ("--epsilon: 'nan'", [*forward, "--epsilon", "nan"]),
            ("--epsilon: 'inf'", [*forward, "--epsilon=inf"]),
            ("--epsilon: '1e-5x'", [*forward, "--epsilon", "1e-5x"]),
            ("--epsilon: ''", [*forward, "--epsilon="]),
            ("--epsilon: '1,5'", [*forward, "--epsilon=1,5"]),
            ("--momentum: '0'", [*running, "--momentum", "0"]),
            ("--momentum: '1.5'", [*running, "--momentum", "1.5"]),
            ("--momentum: '-0.1'", [*running, "--momentum", "-0.1"]),
            ("--momentum: 'NaN'", [*running, "--momentum", "NaN"]),
            ("--layout: 'hwcn'", [*forward, "--layout", "hwcn"]),
            ("--running-mean needs --running-var", [*forward, "--running-mean", "c.npy"]),
            ("--running-var needs --running-mean", [*forward, "--running-var", "c.npy"]),
            ("--new-running-mean needs", [*forward, "--new-running-mean", "m.out"]),
            ("--biased needs", [*forward, "--biased"]),
            ("standard input", ["forward", "-", "-o", "y.out", "--scale", "-"]),
            ("--var needs --mean", ["infer", "x.npy", "-o", "y.out", "--var", "c.npy"]),
            ("--mean needs --var", ["infer", "x.npy", "-o", "y.out", "--mean", "c.npy"]),
            ("either --mean and --var", ["infer", "x.npy", "-o", "y.out"]),
            ("either --mean and --var", ["infer", "x.npy", "-o", "y.out", "--mean", "c.npy", "--var", "c.npy",
                                         "--statistics", "c.npy"]),
            ("--biased needs --statistics", ["infer", "x.npy", "-o", "y.out", "--mean", "c.npy", "--var", "c.npy",
                                             "--biased"]),
            ("X.npy... is missing", ["moments", "-o", "s.out"]),
            ("-o is missing", ["moments", "x.npy"]),
            ("--batch: '0'", ["moments", "x.npy", "-o", "s.out", "--batch", "0"]),
            ("standard input ('-') is given twice", ["moments", "-", "-", "-o", "s.out"]),
            ("standard input ('-') is given twice", ["moments", "-", "-o", "s.out", "--merge-with", "-"]),
            ("DY.npy is missing", ["backward", "x.npy", "-o", "dx.out"]),
            ("--invstd is missing", backward[:-2]),
            ("--relu needs --y", [*backward, "--relu"]),
            ("--y needs --relu", [*backward, "--y", "x.npy"]),
            ("PROBLEM", ["emit", "forward nchw f32 2x"]),
            ("PROBLEM... is missing", ["emit"]),
            ("put quotes", ["emit", "forward", "nchw", "f32", "2x3x4"]),
            ("--target: 'tpu'", ["emit", "forward nchw f32 2x3x4", "--target", "tpu"]),
            ("--schedule-index: '-1'", ["emit", "forward nchw f32 2x3x4", "--schedule-index", "-1"]),
            ("no schedule 999", ["emit", "forward nchw f32 2x3x4", "--schedule-index", "999"]),
            ("replace the '?'", ["bench", "forward nchw f32 ?x3x4"]),
            ("ACTION is missing", ["cache"]),
            ("ACTION: 'burn'", ["cache", "burn"]),
            ("-o is missing", ["compile", "infer nchw f32 ?x3x?"]),
            ("one of the two", ["compile", "-o", "b.out"]),
            ("one of the two", ["compile", "infer nchw f32 ?x3x?", "--image", "i", "--text", "t", "-o", "b.out"]),
            ("--image needs --text", ["compile", "--image", "i", "-o", "b.out"]),
            ("--text needs --image", ["compile", "--text", "t", "-o", "b.out"]),
            ("f33", ["compile", "infer nchw f33 ?x3x?", "-o", "b.out"]),
            ("name a file", ["compile", "infer nchw f32 ?x3x?", "-o", "-"]),
            ("BUNDLE is missing", ["bundle", "list"]),
            ("ACTION: 'clear'", ["bundle", "clear", "b"]),
            ("--device is for verify", ["bundle", "list", "b", "--device", "0"]),
        ]:
            self.refuse(says, *arguments, status=2)
        self.refuse("lists them", *forward, "--device", "no such device")
        self.refuse("lists them", *forward, "--device", "999")

    def test_names_with_line_ends(self):
        self.refuse("No such file", "forward", "two\nlines.npy", "-o", "y.out")

    def test_no_platform(self):
        for arguments in [["devices"], ["forward", "x.npy", "-o", "y.out"], ["check"], ["bench", "infer nchw f32 2x3x4"],
                          ["compile", "infer nchw f32 2x3x4", "-o", "b.out"]]:
            self.refuse("pocl-opencl-icd", *arguments, OCL_ICD_VENDORS="/nonexistent")


KERNEL = r"(?m)^kernel "


class OtherCommands(CommandTest):
    def test_help_and_version(self):
        commands = ["devices", "emit", "forward", "infer", "backward", "moments", "check", "bench", "tune", "compile", "bundle", "cache"]
        overall = self.run_ok("--help").decode()
        self.assertRegex(self.run_ok("--version").decode(), r"^clnorm \d+\.\d+\.\d+\n$")
        for name in commands:
            page = self.run_ok(name, "--help").decode()
            self.assertIn(name, overall)
            self.assertIn("Examples:", page)
            self.assertTrue(page.startswith(f"Usage: clnorm {name} "))
            self.assertLessEqual(max(map(len, page.splitlines())), 110)

    def test_devices(self):
        self.assertIn(b"compute units", self.run_ok("devices"))
        devices = [json.loads(line) for line in self.run_ok("devices", "--json").splitlines()]
        self.assertEqual([d["index"] for d in devices], list(range(len(devices))))
        for device in devices:
            self.assertIn(device["kind"], ["cpu", "gpu", "fpga"])
            self.assertGreater(device["memory"], 0)
            self.assertGreaterEqual(device["max_group"], device["sub_group"])
            self.assertIn(device["collectives"], [True, False])

    def test_emit(self):
        problem = "forward nhwc f16 ?x64x? +scale +shift +relu"
        texts = {}
        for target in ["cpu", "gpu", "fpga"]:
            texts[target] = self.run_ok("emit", problem, "--target", target)
            self.assertEqual(texts[target], self.run_ok("emit", problem, f"--target={target}", LC_ALL="de_DE.UTF-8"))
            self.assertRegex(texts[target].decode("ascii"), KERNEL)
        self.assertNotEqual(texts["cpu"], texts["gpu"])
        self.assertEqual(texts["cpu"], self.run_ok("emit", problem, OCL_ICD_VENDORS="/nonexistent"))
        self.assertEqual(texts["cpu"], self.run_ok("emit", problem, "--schedule-index", "0"))
        self.assertRegex(self.run_ok("emit", problem, "--device", "0").decode("ascii"), KERNEL)
        image = self.run_ok("emit", "--image", problem, "infer nchw f32 ?x64x?", "--target", "gpu")
        self.assertEqual(image.count(texts["gpu"]), 1)
        self.assertEqual(image.count(self.run_ok("emit", "infer nchw f32 ?x64x?", "--target", "gpu")), 1)
        self.assertEqual(len(re.findall(rb"(?m)^#define map map_[0-9a-f]{8}$", image)), 2)
        self.assert_refused(clnorm("emit", "--image", problem, problem), 1, "the same")

    def test_cache(self):
        cache = self.path("cache")
        x = self.save("x.npy", RANDOM.normal(0, 1, (2, 3, 4)).astype(np.float32))
        self.assertIn(b"0 programs", self.run_ok("cache", "list", CLNORM_CACHE_DIR=cache))
        self.run_ok("forward", x, "-o", "y.npy", CLNORM_CACHE_DIR=cache)
        listed = [json.loads(line) for line in self.run_ok("cache", "list", "--json", "--directory", cache).splitlines()]
        self.assertEqual(len(listed), 1)
        self.assertTrue(listed[0]["valid"] and listed[0]["problem"].startswith("forward nchw f32"))
        self.assertIn(b"forward nchw f32", self.run_ok("cache", "list", "--directory", cache))
        self.assertIn(b"1 programs checked, 0 damaged", self.run_ok("cache", "verify", f"--directory={cache}"))

        with open(listed[0]["path"], "r+b") as entry:
            entry.seek(-1, os.SEEK_END)
            last = entry.read(1)
            entry.seek(-1, os.SEEK_END)
            entry.write(bytes([last[0] ^ 1]))
        damaged = clnorm("cache", "verify", "--directory", cache)
        self.assert_refused(damaged, 1, "1 of 1")
        self.run_ok("forward", x, "-o", "y.npy", CLNORM_CACHE_DIR=cache)  # replaces it
        self.run_ok("cache", "verify", "--directory", cache)

        self.assertIn(b"1 programs removed", self.run_ok("cache", "clear", "--directory", cache))
        self.assertEqual(self.run_ok("cache", "list", "--json", "--directory", cache), b"")
        nowhere = clnorm("cache", "list", CLNORM_CACHE_DIR="", XDG_CACHE_HOME="", HOME="")
        self.assert_refused(nowhere, 1, "no cache directory")

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def write(self, name, content):
        with open(self.path(name), "wb") as file:
            file.write(content)

    def listed(self, bundle):
        return [json.loads(line) for line in self.run_ok("bundle", "list", bundle, "--json").splitlines()]

    def test_compile(self):
        first, second, third = "infer nchw f32 ?x3x?", "moments nhwc f32 ?x3x?", "infer nchw f32 8x3x?"
        out = self.run_ok("compile", first, second, "-o", "a.bundle").decode()
        self.assertEqual(out.count("compiled, ") + out.count("from the cache, "), 2)
        self.assertIn("2 programs, ", out)
        entries = self.listed("a.bundle")
        self.assertEqual([e["problem"] for e in entries], [first, second])
        device = json.loads(self.run_ok("devices", "--json").splitlines()[0])
        for index, entry in enumerate(entries):
            for name in ["device", "driver", "platform"]:
                self.assertEqual(entry[name], device[name])
            self.assertEqual((entry["image"], entry["valid"]), (index, True))
            self.assertRegex(entry["schedule"], "^cpu: walk=")
        self.assertEqual([e["kernels"] for e in entries], ["map", "reduce finish fused"])
        self.assertIn(b"2 programs in 2 images", self.run_ok("bundle", "list", "a.bundle"))
        self.assertIn(b"2 programs checked, 0 of", self.run_ok("bundle", "verify", "a.bundle", "--device", "0"))

        # What is asked for replaces, the rest is kept, also by a command that is stopped by an error.
        out = self.run_ok("compile", third, first, "--add", "-o", "a.bundle", "--target", "gpu").decode()
        self.assertIn(f"{second}: kept, ", out)
        entries = self.listed("a.bundle")
        self.assertEqual([e["problem"] for e in entries], [second, third, first])
        self.assertEqual([e["schedule"][:4] for e in entries], ["cpu:", "gpu:", "gpu:"])
        before = self.read("a.bundle")
        self.assert_refused(clnorm("compile", "infer nchw f32 ?x0x?", "--add", "-o", "a.bundle", cwd=self.dir), 2, "x0x")
        self.assertEqual(self.read("a.bundle"), before)
        self.run_ok("compile", first, "-o", "a.bundle")  # without --add: anew
        self.assertEqual([e["problem"] for e in self.listed("a.bundle")], [first])
        self.assertEqual(os.listdir(self.dir), ["a.bundle"])

    def test_wrong_bundles(self):
        problem = "infer nchw f32 ?x3x?"
        self.run_ok("compile", problem, "-o", "a.bundle")
        whole = self.read("a.bundle")
        for says, content in [("is not a bundle", b""), ("is not a bundle", b"x" * 100), ("is cut off", whole[:-1]),
                              ("is damaged", whole[:-1] + bytes([whole[-1] ^ 1]))]:
            self.write("b.bundle", content)
            for arguments in [["bundle", "list", "b.bundle"], ["bundle", "verify", "b.bundle"],
                              ["bundle", "verify", "b.bundle", "--device", "0"],
                              ["compile", problem, "--add", "-o", "b.bundle"]]:
                self.assert_refused(clnorm(*arguments, cwd=self.dir), 1, says)
        self.assert_refused(clnorm("bundle", "list", "none", cwd=self.dir), 1, "No such file")
        self.assert_refused(clnorm("compile", problem, "--add", "-o", "none", cwd=self.dir), 1, "--add: none cannot be read")
        self.assert_refused(clnorm("compile", problem, "-o", "no/where", cwd=self.dir), 1, "no/where cannot be written")

    def test_image(self):
        problems = ["forward nchw f32 ?x3x? +scale", "infer nhwc f32 ?x3x?"]
        text = b"kernel void map(global int *mine) { mine[0] = 1; }\n" + self.run_ok("emit", "--image", *problems, "--target", "gpu")
        self.write("image.cl", text)
        subprocess.run([OFFLINE_COMPILER, "image.cl", "image.bin"], cwd=self.dir, check=True)
        image = ["compile", "--image", "image.bin", "--text", "image.cl", "-o", "a.bundle", "--device", "0"]
        self.assertIn("in the image, ", self.run_ok(*image).decode())
        entries = self.listed("a.bundle")
        self.assertEqual([e["problem"] for e in entries], problems)
        self.assertEqual([e["image"] for e in entries], [0, 0])
        for entry in entries:
            self.assertRegex(entry["kernels"], r"^(\w+_[0-9a-f]{8} ?)+$")
            self.assertRegex(entry["schedule"], "^gpu: walk=")
        self.assertIn(b"0 of another", self.run_ok("bundle", "verify", "a.bundle", "--device", "0"))

        os.remove(self.path("a.bundle"))
        for says, name, content in [
            ("does not take", "image.bin", b"rubbish"), ("does not take", "image.bin", b""),
            ("has none of clnorm's programs", "image.cl", b"kernel void f(void) {}\n"),
            ("clnorm 99.0 emitted", "image.cl", text.replace(b"// clnorm 0", b"// clnorm 99.0\n")),
            ("dance", "image.cl", text.replace(b"// infer", b"// dance")),
            ("is not in the program", "image.cl", text.replace(b"block=", b"block=1")),
            ("is not in the program", "image.cl", self.run_ok("emit", "--image", problems[0] + " +relu")),
        ]:
            kept = self.read(name)
            self.write(name, content)
            self.assert_refused(clnorm(*image, cwd=self.dir), 1, says)
            self.write(name, kept)
        self.assertFalse(os.path.exists(self.path("a.bundle")))
        self.run_ok(*image)

    def test_bench(self):
        scratch = self.path("scratch")
        os.mkdir(scratch)
        problems = ["forward nchw f32 2x3x10", "infer nhwc f16 2x3x10 +relu"]
        out = self.run_ok("bench", *problems, "--json", TMPDIR=scratch)
        rows = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([r["problem"] for r in rows], problems)
        for row in rows:
            self.assertLessEqual(row["min_us"], row["median_us"])
            self.assertGreater(row["plan_compiled_us"], row["plan_memory_us"])
        self.assertEqual(rows[0]["bytes"], 4 * (60 + 60 + 3 + 3))
        self.assertEqual(rows[1]["bytes"], 2 * (60 + 60) + 4 * (3 + 3))
        self.assertEqual(os.listdir(scratch), [])

    def tuning_file(self, cache, *lines):
        os.makedirs(cache, mode=0o700, exist_ok=True)
        with open(os.path.join(cache, "tuning.txt"), "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in lines))
        os.chmod(file.name, 0o600)
        return file.name

    def test_tune(self):
        cache, scratch, problem = self.path("cache"), self.path("scratch"), "infer nchw f32 2x3x10 +scale"
        os.mkdir(scratch)
        where = {"CLNORM_CACHE_DIR": cache, "TMPDIR": scratch}
        listing = ["tune", "--list", "--json", "--directory", cache]
        row = json.loads(self.run_ok("tune", problem, "--seconds", "1", "--dry-run", "--json", **where))
        self.assertEqual((row["problem"], row["class"], row["stored"]), (problem, "infer nchw f32 2x3x8", False))
        self.assertEqual((row["wrong"], row["failed"]), (0, 0))
        self.assertTrue(1 <= row["tried"] <= row["candidates"])
        self.assertAlmostEqual(row["ratio"], row["best_s"] / row["default_s"])
        self.assertEqual(self.run_ok(*listing), b"")
        self.assertFalse(os.path.exists(cache))

        # What is stored is the winner or nothing, whatever was there before; other lines stay.
        device = json.loads(self.run_ok("devices", "--json").splitlines()[0])
        names = f"{device['device']} | {device['driver']} | {device['platform']}"
        line = f"{names} | {row['class']} | {row['default_schedule']} | 0.5 s"
        other = f"other {line}"
        self.tuning_file(cache, "# mine", line, other)
        row = json.loads(self.run_ok("tune", problem, "--seconds=1", "--device=0", "--json", **where))
        listed = [json.loads(text) for text in self.run_ok(*listing).splitlines()]
        mine = [e for e in listed if e["device"] == device["device"]]
        self.assertEqual(len(listed) - len(mine), 1)
        self.assertEqual(len(mine), int(row["stored"]))
        for entry in mine:
            self.assertEqual((entry["class"], entry["schedule"]), (row["class"], row["schedule"]))
        self.assertIn(b"candidates in", self.run_ok("tune", problem, "--seconds", "1", **where))
        self.assertEqual(os.listdir(scratch), [])

    def test_tuning_file(self):
        cache = self.path("cache")
        good = "d | 1 | p | infer nchw f32 2x3x8 | "
        schedule = json.loads(self.run_ok("tune", "infer nchw f32 2x3x8", "--seconds", "0.1", "--dry-run", "--json"))
        good += schedule["default_schedule"] + " | 0.25 s"
        name = self.tuning_file(cache, "# comment", good, "rubbish")
        text = self.run_ok("tune", "--list", "--directory", cache).decode()
        self.assertIn("250000.0 us", text)
        self.assertIn("line 3 is ignored: ", text)
        self.assertIn("1 entries, 1 ignored", text)
        rows = [json.loads(line) for line in self.run_ok("tune", "--list", "--json", CLNORM_CACHE_DIR=cache).splitlines()]
        self.assertEqual([row["line"] for row in rows], [2, 3])
        self.assertEqual((rows[0]["device"], rows[0]["driver"], rows[0]["platform"]), ("d", "1", "p"))
        self.assertEqual((rows[0]["class"], rows[0]["best_s"]), ("infer nchw f32 2x3x8", 0.25))
        os.chmod(name, 0o622)
        self.assertIn(b"the file is ignored: ", self.run_ok("tune", "--list", "--directory", cache))
        stuck = clnorm("tune", "infer nchw f32 2x3x8", "--seconds", "0.1", "--directory", cache)
        self.assert_refused(stuck, 1, "chmod go-w")
        os.chmod(name, 0o600)
        self.assertIn(b"1 entries removed", self.run_ok("tune", "--clear", "--directory", cache))
        self.assertFalse(os.path.exists(name))
        self.assertEqual(self.run_ok("tune", "--list", "--json", "--directory", cache), b"")

    def test_tune_usage(self):
        problem = "infer nchw f32 2x3x8"
        for arguments, says in [([], "one of the three"), (["--list", "--clear"], "one of the three"),
                                ([problem, "--list"], "one of the three"), ([problem, "--seconds", "0"], "--seconds"),
                                (["infer nchw f32 ?x3x8"], "above 0"), (["infer nchw f32 0x3x8"], "above 0"),
                                ([problem, "infer nchw f33 2x3"], "f33"), (["--list", "--dry-run"], "--dry-run")]:
            with self.subTest(arguments):
                self.assert_refused(clnorm("tune", *arguments), 2, says)
        nowhere = clnorm("tune", problem, CLNORM_CACHE_DIR="", XDG_CACHE_HOME="", HOME="")
        self.assert_refused(nowhere, 1, "no cache directory")

    def test_check(self):
        done = clnorm("check", "--json")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        failed = [r for r in rows if r["status"] == "fail"]
        self.assertEqual((done.returncode, failed), (0, []))
        self.assertGreater(len(rows), 10)
        keys = {"platform", "device", "problem", "target", "schedule", "status", "max_error", "tolerance"}
        self.assertTrue(all(keys <= r.keys() for r in rows))
        self.assertEqual({r["status"] for r in rows} - {"pass", "unsupported"}, set())


if __name__ == "__main__":
    sys.exit(unittest.main(verbosity=1))
