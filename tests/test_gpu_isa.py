#!/usr/bin/env python3
"""Kernels of the group walk as machine code of GPUs that need not be there.

    test_gpu_isa.py EMIT_VARIANTS [TARGET...] [--all] [--match TEXT] [--table]

TARGET is amdgcn, nvptx64 or spir64; without one, all three. clang compiles each kernel for several processors of a
target and says what it takes of them, or ptxas does. Fails on an error, a warning, a spilled register, private memory
(a stack), or a call, whose registers no one would have counted. Exit status 77: nothing failed, but something is not
installed, and so was not checked.
"""
import argparse
import collections
import concurrent.futures
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

CLANG = os.environ.get("CLANG", "clang-15")
LIBCLC = os.environ.get("LIBCLC", "/usr/lib/clc")  # of clang's version: OpenCL's built-in functions as bitcode
PTXAS = os.environ.get("PTXAS") or shutil.which("ptxas") or "/usr/local/cuda/bin/ptxas"
COMMON = ["-x", "cl", "-O2", "-nogpulib", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror"]
GROUPS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gpu_groups.h")  # sub-groups, collective functions
JOBS = 2

# LLVM's own options. Only kernels are called from outside, and all functions go inline: clang has to be told. Arrays
# in private memory must not be hidden in local memory.
BACKEND = {
    "amdgcn": ["-amdgpu-internalize-symbols", "-amdgpu-early-inline-all=true", "-amdgpu-function-calls=false",
               "-disable-promote-alloca-to-lds"],
    "nvptx64": ["-inline-threshold=1000000"],
}
# Shuffles came with version 6.0 of PTX, which sm_70 needs anyway.
FEATURES = {"amdgcn": [], "nvptx64": ["-Xclang", "-target-feature", "-Xclang", "+ptx60"]}
PROCESSORS = {"amdgcn": ["gfx906", "gfx90a", "gfx1030"], "nvptx64": ["sm_70"], "spir64": [""]}
ASSEMBLED = ["sm_70", "sm_75", "sm_80", "sm_90"]  # the first two that ptxas knows, and the last

Text = collections.namedtuple("Text", "path operation layout dtype dims flags row fold kernels")
Use = collections.namedtuple("Use", "processor text kernel registers scalars local private spills")


# ---- The list ----

def read_text(path):
    """The text's description and its body."""
    with open(path, encoding="ascii") as file:
        _, problem, schedule, body = file.read().split("\n", 3)
    _, operation, layout, dtype, dims, *flags = problem.split()
    row = schedule.split()[1].rstrip(":")
    fold = re.search(r" fold=(\w+)|$", schedule)[1] or "tree"
    return Text(path, operation, layout, dtype, dims, frozenset(flags), row, fold, body.count("\nkernel ")), body


def distinct_texts(folder):
    """One text of those that differ in their comment only."""
    texts = {}
    for path in sorted(glob.glob(os.path.join(folder, "[0-9]*.cl"))):
        text, body = read_text(path)
        texts.setdefault(body, text)
    return list(texts.values())


def kind_of(text):
    return text.operation, text.layout, text.dtype, text.row, text.dims


def short_list(texts):
    """The default schedule in every type, with no flags and with all; the other rows in f32 with all flags."""
    flags = collections.defaultdict(set)
    for text in texts:
        flags[kind_of(text)].add(text.flags)
    full = [t for t in texts if not any(t.flags < more for more in flags[kind_of(t)])]
    return [t for t in texts if (t.row == "gpu" and (t in full or not t.flags)) or (t.dtype == "f32" and t in full)]


# ---- Compilers ----

class Failed(Exception):
    """A kernel that does not pass."""


def run(command):
    """Runs a compiler, which must say nothing on standard error; returns its standard output."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 or done.stderr:
        raise Failed(done.stderr.strip() or f"{command[0]} ended with {done.returncode}")
    return done.stdout


def language_of(text):
    """OpenCL C 1.2 unless the fold needs more."""
    return ["-cl-std=CL1.2"] if text.fold == "tree" else ["-cl-std=CL3.0", "-include", GROUPS]


def assembly_of(text, target, processor, library):
    """What clang makes of a text."""
    machine = target.split("-", 1)[0]
    backend = [word for option in BACKEND[machine] for word in ("-mllvm", option)] + FEATURES[machine]
    bitcode = ["-Wno-linker-warnings", "-Xclang", "-mlink-builtin-bitcode", "-Xclang", os.path.join(LIBCLC, library)]
    return run([CLANG, *COMMON, *language_of(text), "-target", target, processor, *backend, *bitcode, "-S", "-o", "-",
                text.path])


def use_amdgcn(processor, text):
    """From the metadata, where a kernel's own lines are indented by four. AGPRs hold what did not fit elsewhere."""
    assembly = assembly_of(text, "amdgcn-amd-amdhsa", f"-mcpu={processor}", "amdgcn--amdhsa.bc")
    if "s_swappc" in assembly:
        raise Failed("calls a function")
    uses = []
    for kernel in re.split(r"^  - (?=\.)", assembly.split("amdhsa.kernels:", 1)[1], flags=re.M)[1:]:
        field = dict(re.findall(r"^(?:    )?\.(\w+): +(\S+)$", kernel, flags=re.M))
        uses.append(Use(processor, text, field["name"], int(field["vgpr_count"]), int(field["sgpr_count"]),
                        int(field["group_segment_fixed_size"]), int(field["private_segment_fixed_size"]),
                        int(field["vgpr_spill_count"]) + int(field["sgpr_spill_count"])
                        + int(field.get("agpr_count", 0))))
    return uses


def number(pattern, text):
    found = re.search(pattern, text)
    return int(found[1]) if found else 0


def assemble(processor, text, path):
    said = subprocess.run([PTXAS, "-v", f"-arch={processor}", path, "-o", os.devnull], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if said.returncode != 0 or re.search("warning|error", said.stdout):
        raise Failed(said.stdout.strip())
    uses = []
    for kernel in said.stdout.split("Compiling entry function '")[1:]:
        spills = number(r"(\d+) bytes spill stores", kernel) + number(r"(\d+) bytes spill loads", kernel)
        stack = max(number(r"(\d+) bytes stack frame", kernel), number(r"(\d+) bytes cumulative stack", kernel))
        uses.append(Use(processor, text, kernel.split("'", 1)[0], number(r"Used (\d+) registers", kernel), 0,
                        number(r"(\d+) bytes smem", kernel), stack, spills))
    return uses


def use_nvptx64(processor, text):
    assembly = assembly_of(text, "nvptx64-nvidia-cuda", f"-march={processor}", "nvptx64--nvidiacl.bc")
    if re.search(r"^\s+call|^\.extern \.func", assembly, flags=re.M):
        raise Failed("calls a function")
    if "__local_depot" in assembly:
        raise Failed("has variables in private memory")
    processors = assemblers()
    uses = []
    if processors:
        path = text.path + ".ptx"
        with open(path, "w", encoding="ascii") as file:
            file.write(assembly)
        uses = [use for name in processors for use in assemble(name, text, path)]
    return uses


def use_spir64(_, text):
    """Intermediate code, which has no registers yet."""
    run([CLANG, *COMMON, *language_of(text), "-target", "spir64", "-emit-llvm", "-c", "-o", text.path + ".bc", text.path])
    return []


COMPILE = {"amdgcn": use_amdgcn, "nvptx64": use_nvptx64, "spir64": use_spir64}


def assemblers():
    """What ptxas is to assemble for; nothing where it is not installed."""
    if not assemblers.known and shutil.which(PTXAS):
        offered = run([PTXAS, "--help"])
        known = [name for name in ASSEMBLED if f"'{name}'" in offered]
        assemblers.known = sorted({*known[:2], *known[-1:]})
    return assemblers.known


assemblers.known = []


# ---- The report ----

def check(job):
    """Returns what the kernels of a text use and, when one does not pass, why."""
    target, processor, text = job
    problem = [text.operation, text.layout, text.dtype, text.dims, *sorted(text.flags)]
    what = " ".join([processor or target, *problem])
    try:
        uses = COMPILE[target](processor, text)
    except Failed as failed:
        return [], f"{what}, {text.row}: {failed}"
    bad = [f"{use.kernel} on {use.processor}: {use.spills} spilled, {use.private} bytes of private memory"
           for use in uses if use.spills or use.private]
    missing = [name for name in {use.processor for use in uses}
               if len([use for use in uses if use.processor == name]) != text.kernels]
    if missing:
        bad.append(f"of {text.kernels} kernels some are not reported for {missing}")
    return uses, f"{what}, {text.row}: {'; '.join(bad)}" if bad else None


def print_summary(uses):
    print("| processor | kernels | registers, most | median | scalar registers, most | local memory, most | spills |")
    print("|---|---|---|---|---|---|---|")
    for processor in sorted({use.processor for use in uses}, key=lambda name: (name[0], len(name), name)):
        of = [use for use in uses if use.processor == processor]
        registers = [use.registers for use in of]
        scalars = max(use.scalars for use in of) or "-"
        print(f"| {processor} | {len(of)} | {max(registers)} | {statistics.median(registers):g} | {scalars} |"
              f" {max(use.local for use in of)} | {sum(use.spills for use in of)} |")


def most(values, default="-"):
    return max(values, default=default)


def print_table(uses):
    """A line for each kernel of each operation under the default schedule: other types / f64."""
    uses = [use for use in uses if use.text.row == "gpu"]
    processors = sorted({use.processor for use in uses}, key=lambda name: (name[0], len(name), name))
    print(f"| operation | kernel | {' | '.join(processors)} | local memory | spills |")
    print("|---" * (len(processors) + 4) + "|")
    for operation, kernel in dict.fromkeys((use.text.operation, use.kernel) for use in uses):
        of = [use for use in uses if (use.text.operation, use.kernel) == (operation, kernel)]
        cells = []
        for name in processors:
            double = [use.registers for use in of if use.processor == name and use.text.dtype == "f64"]
            single = [use.registers for use in of if use.processor == name and use.text.dtype != "f64"]
            cells.append(f"{most(single)} / {most(double)}")
        local = " / ".join(str(most(use.local for use in of if (use.text.dtype == "f64") == is_double))
                           for is_double in (False, True))
        print(f"| {operation} | {kernel} | {' | '.join(cells)} | {local} | {sum(use.spills for use in of)} |")


def print_folds(uses):
    """A line for each fold: the most registers of kernels that reduce, f32 with all flags."""
    processors = sorted({use.processor for use in uses}, key=lambda name: (name[0], len(name), name))
    print(f"| row | {' | '.join(processors)} | local memory |")
    print("|---" * (len(processors) + 2) + "|")
    for row in ("gpu", "subgroup", "collective"):
        of = [use for use in uses if use.text.row == row and use.text.dtype == "f32" and use.local > 0
              or use.text.row == row == "collective" and use.kernel in ("reduce", "fused")]
        cells = [str(most(use.registers for use in of if use.processor == name)) for name in processors]
        print(f"| {row} | {' | '.join(cells)} | {most(use.local for use in of)} |")


def what_is_missing(targets):
    """Why nothing can be checked, or None."""
    if not shutil.which(CLANG):
        return f"{CLANG} is not installed"
    if set(targets) != {"spir64"} and not os.path.exists(os.path.join(LIBCLC, "amdgcn--amdhsa.bc")):
        return f"no amdgcn--amdhsa.bc in {LIBCLC}: libclc is not installed"
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("emit_variants")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--all", action="store_true", help="every distinct text, not the short list: ten minutes")
    parser.add_argument("--match", default="", help="only problems that start so: 'forward nchw'")
    parser.add_argument("--table", action="store_true", help="also the table of gpu.md")
    arguments = parser.parse_intermixed_args()
    targets = arguments.targets or list(COMPILE)
    missing = what_is_missing(targets)
    if missing:
        print(f"skipped: {missing}")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([arguments.emit_variants, folder, "gpu"], check=True, stdout=subprocess.DEVNULL)
        distinct = distinct_texts(folder)
        texts = distinct if arguments.all else short_list(distinct)
        texts = [t for t in texts if f"{t.operation} {t.layout} {t.dtype}".startswith(arguments.match)]
        jobs = [(target, name, text) for target in targets for name in PROCESSORS[target] for text in texts]
        with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
            results = list(pool.map(check, jobs))
    failures = [why for _, why in results if why]
    uses = [use for some, _ in results for use in some]
    print(f"{len(texts)} of {len(distinct)} distinct texts, {sum(text.kernels for text in texts)} kernels, for "
          f"{', '.join(targets)}: {len(failures)} of {len(jobs)} compilations failed")
    for why in failures:
        print(why)
    if uses:
        print_summary(uses)
    if arguments.table:
        print_table(uses)
        print_folds(uses)
    if failures or not texts:
        return 1
    if "nvptx64" in targets and not assemblers():
        print("skipped in part: ptxas is not installed, so PTX was made and not assembled")
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
