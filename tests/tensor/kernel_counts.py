#!/usr/bin/env python3
"""Instructions of the kernels for the processor, counted by callgrind and compared with what tests/tensor/kernel_counts.json keeps.

usage: kernel_counts.py PROGRAM [--compiler NAME] [--keep]

Each kernel runs once and eleven times on fixed numbers; a tenth of the difference is its count, the same on every machine for one
compiler. One that grew by more than 2 % is an error: a change of a few lines, or of a flag, has made it slower. One that shrank by as
much asks for --keep, which writes the counts anew. Ends with 77, and says why, where they cannot be counted: without valgrind, with
another compiler than the one they are kept for, or on a processor without AVX2 (valgrind knows no AVX-512).
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

KEPT = pathlib.Path(__file__).resolve().with_suffix(".json")
KERNELS, LIMIT = "AVX2", 0.02

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("program")
a.add_argument("--compiler", default="", help="that built the program, with its version")
a.add_argument("--keep", action="store_true")
args = a.parse_args()
kept = json.loads(KEPT.read_text()) if KEPT.exists() else {"compiler": "", "instructions": {}}


def skip(why):
    print(f"not counted: {why}")
    sys.exit(77)


if not shutil.which("valgrind"):
    skip("valgrind is not installed")
if not {"avx2", "fma", "f16c"} <= set(re.search(r"^flags\s*:(.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)[1].split()):
    skip("this processor has no AVX2")
if args.compiler != kept["compiler"] and not args.keep:
    skip(f"the counts are kept for {kept['compiler']}, this is {args.compiler or 'an unnamed compiler'}")


def instructions(kernel, times):
    out = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", args.program, kernel, str(times)],
                         capture_output=True, text=True, env={**os.environ, "FETTLE_KERNELS": KERNELS})
    found = re.search(r"Collected : (\d+)", out.stderr)
    if out.returncode != 0 or not found:
        sys.exit(f"{kernel}: {out.stderr[-800:]}")
    return int(found[1])


names = subprocess.run([args.program, "--list"], capture_output=True, text=True, check=True).stdout.split()
counts = {name: (instructions(name, 11) - instructions(name, 1)) // 10 for name in names}
if args.keep:
    KEPT.write_text(json.dumps({"compiler": args.compiler, "instructions": counts}, indent=1) + "\n")
wrong = 0
for name in sorted(counts | kept["instructions"]):
    count, before = counts.get(name), kept["instructions"].get(name)
    bad = not args.keep and (count is None or before is None or abs(count / before - 1) > LIMIT)
    wrong += bad
    print(f"{name:18} {count} instructions, kept {before}{'  <-- differs by more than 2 %' if bad else ''}")
sys.exit(1 if wrong else 0)
