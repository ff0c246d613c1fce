#!/usr/bin/env python3
"""clnorm-bench on tiny problems: what its lines hold, and what it says about wrong usage.

    CLNORM_BENCH=build/clnorm-bench python3 tests/test_bench.py

Times are numbers above zero here, and nothing more: how large they are is no test's affair.
"""
import json
import os
import shutil
import subprocess
import tempfile
import unittest

BENCH = os.environ.get("CLNORM_BENCH", "clnorm-bench")
FOLDER = tempfile.mkdtemp(prefix="clnorm-bench-test-")
# No device, no context, no peer: what is asked of the command line alone is answered before any of them.
WRONG = [
    ([], "nothing to time"),
    (["forward nchw f32 ?x3"], "replace the '?'"),
    (["moments nchw f32 2x3"], "clnorm bench"),
    (["forward nchw f32"], "is not a problem"),
    (["forward,sideways nchw f32 2x3"], "sideways"),
    (["forward nchw f32 2x3x0"], "empty tensor"),
    (["forward nchw f32 2x3", "--contestants", "clnorm,nobody"], "nobody"),
    (["forward nchw f32 2x3", "--seconds", "soon"], "soon"),
    (["forward nchw f32 2x3", "--axis", "time"], "time"),
    (["--cases", os.path.join(FOLDER, "missing.txt")], "missing.txt"),
    (["--wrong"], "--wrong"),
]


def tearDownModule():
    shutil.rmtree(FOLDER)


def bench(*arguments):
    """Runs the bench without a peer to start, and returns the finished process."""
    env = {**os.environ, "CLNORM_CACHE_DIR": os.path.join(FOLDER, "cache")}
    command = [BENCH, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def rows(*arguments):
    done = bench("--json", "--seconds", "0.001", "--python", "no-such-python", *arguments)
    if done.returncode != 0:
        raise AssertionError(f"exit status {done.returncode}: {done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


class Lines(unittest.TestCase):
    def test_one_object_a_line(self):
        problems = ["forward nchw f32 2x3x5 +scale +shift", "backward nhwc f32 2x3x4x4 +scale +relu"]
        lines, errors = rows(*problems)
        self.assertEqual([p for p in problems for row in lines if row["contestant"] == "clnorm" and row["problem"] == p],
                         problems)
        self.assertIn("PyTorch is left out", errors)
        for problem in problems:
            with self.subTest(problem):
                found = {row["contestant"]: row for row in lines if row["problem"] == problem}
                self.assertLessEqual({"clnorm", "limit"}, set(found))
                if "oneDNN is left out" not in errors:
                    self.assertIn("onednn", found)
                for row in found.values():
                    self.check(row)

    def check(self, row):
        self.assertGreater(row["median_s"], 0)
        self.assertGreater(row["min_s"], 0)
        self.assertLessEqual(row["min_s"], row["median_s"])
        self.assertGreaterEqual(row["runs"], 10)
        self.assertGreaterEqual(row["threads"], 1)
        self.assertIn(row["layout"], ("nchw", "nhwc", "nChw16c"))
        self.assertLess(row["error"], 1e-3 if row["contestant"] != "clnorm" else 1e-5)
        elements = 2 * 3 * 5 if row["problem"].startswith("forward") else 2 * 3 * 4 * 4
        tensors = 2 if row["problem"].startswith("forward") else 4  # backward with relu also reads y
        self.assertEqual(row["bytes"], 4 * elements * tensors)

    def test_alternatives_are_multiplied(self):
        lines, _ = rows("infer nchw,nhwc f32,f16 1x2x3,2x2x2", "--contestants", "clnorm")
        self.assertEqual([row["problem"] for row in lines],
                         [f"infer {layout} {dtype} {dims}" for layout in ("nchw", "nhwc") for dtype in ("f32", "f16")
                          for dims in ("1x2x3", "2x2x2")])

    def test_case_file(self):
        path = os.path.join(FOLDER, "cases.txt")
        with open(path, "w", encoding="ascii") as file:
            file.write("# two of them\n\ninfer nchw,nhwc f32 1x2x3 # and a comment\n")
        lines, _ = rows("--cases", path, "--contestants", "clnorm")
        self.assertEqual(len(lines), 2)

    def test_all_schedules(self):
        lines, _ = rows("infer nchw f32 1x2x3", "--contestants", "clnorm", "--all-schedules")
        names = [row["contestant"] for row in lines]
        self.assertIn("clnorm", names)
        self.assertTrue(any(name.startswith("clnorm:") for name in names), names)

    def test_table_and_summary(self):
        path = os.path.join(FOLDER, "table.md")
        done = bench("infer nchw f32 1x2x3", "--contestants", "clnorm,limit", "--seconds", "0.001", "--table", path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("clnorm/limit", done.stdout)
        with open(path, encoding="utf-8") as file:
            self.assertIn("| infer | nchw | f32 | 1x2x3 |", file.read())


class Usage(unittest.TestCase):
    def test_one_line_and_exit_status_2(self):
        for arguments, word in WRONG:
            with self.subTest(arguments):
                done = bench(*arguments)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("clnorm-bench: "), done.stderr)
                self.assertIn(word, done.stderr)

    def test_help(self):
        done = bench("--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("Usage: clnorm-bench", done.stdout)


if __name__ == "__main__":
    unittest.main()
