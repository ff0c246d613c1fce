#!/usr/bin/env python3
"""From `clnorm check --json` to the tables of portability.md.

    portability_table.py NAME.jsonl...

Each file holds the cases of one OpenCL implementation.
"""
import json
import os
import sys
from collections import Counter, defaultdict

DTYPES = ["f32", "f64", "f16", "bf16"]
DETAIL = """
### {name}

Cases that passed, by type and schedule ("own": the library's choice for the device). {note}
"""


def read(path):
    with open(path, encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def schedule_of(case):
    return "own" if case["target"] == "device" else case["schedule"].split(":")[0]


def cell(counts):
    """Passed; what did not pass is said."""
    passed, failed, unsupported = (counts[status] for status in ("pass", "fail", "unsupported"))
    said = [str(passed)] if passed else []
    if failed:
        said.append(f"**{failed} failed**")
    if unsupported:
        said.append(f"({unsupported})")
    return " ".join(said)


def worst(cases, dtype):
    shares = [c["max_error"] / c["tolerance"] for c in cases
              if c["status"] != "unsupported" and c["problem"].split()[2] == dtype]
    return f"{max(shares):.2f}" if shares else "-"


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |")


def summary(files):
    row("implementation", "platform, device", "passed", "failed", "not supported", *(f"largest error, {d}" for d in DTYPES))
    row(*["---"] * (5 + len(DTYPES)))
    for name, cases in files:
        statuses = Counter(c["status"] for c in cases)
        row(name, f"{cases[0]['platform'].strip()}, {cases[0]['device'].strip()}", statuses["pass"], statuses["fail"],
            statuses["unsupported"], *(worst(cases, d) for d in DTYPES))


def table(name, cases, schedules):
    counts = defaultdict(Counter)
    operations = list(dict.fromkeys(c["problem"].split()[0] for c in cases))
    for case in cases:
        operation, _, dtype = case["problem"].split()[:3]
        counts[operation, dtype, schedule_of(case)][case["status"]] += 1
    lacking = any(c["status"] == "unsupported" for c in cases)
    print(DETAIL.format(name=name, note="In brackets: not supported by the device." if lacking else ""))
    row("operation", "type", *schedules)
    row(*["---"] * (2 + len(schedules)))
    for operation in operations:
        for dtype in DTYPES:
            row(operation, dtype, *(cell(counts[operation, dtype, s]) for s in schedules))


def main():
    files = [(os.path.splitext(os.path.basename(path))[0], read(path)) for path in sys.argv[1:]]
    schedules = list(dict.fromkeys(schedule_of(c) for _, cases in files for c in cases))
    print()
    summary(files)
    for name, cases in files:
        table(name, cases, schedules)


if __name__ == "__main__":
    main()
