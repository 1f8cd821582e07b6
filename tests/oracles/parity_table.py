#!/usr/bin/env python3
"""Runs the parity tests of a build and writes what they measured as tables.

usage: parity_table.py BUILD-FOLDER > docs/parity.md

Needs nothing but Python: what the reference said lies in tests/golden. A cell is the largest difference measured; 0 means
equal. Columns that need llama.cpp come from check_gguf.py, which adds its lines to the same file when it is run with
FETTLE_PARITY set and the file is given as second argument here.
"""
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = ["test_families", "test_encoders", "test_gguf_export"]
TITLES = {
    "family": "## Models\n\nRandom tiny checkpoints of `transformers`: logits in float32, the gradient of a loss for every weight (relative "
              "to its norm), eight tokens of cached greedy generation, a Hugging Face folder written and read again, a GGUF file (F32) "
              "written and read again, and the same file in llama.cpp.",
    "tokenizer": "## Tokenizers\n\nNumber of differences against the reference.",
    "template": "## Conversation forms\n\nNumber of differences against `jinja2` as `transformers` sets it up.",
}


def cell(text):
    value = float(text)
    return "equal" if value == 0 else f"{value:.1g}"


def table(rows, first):
    columns = list(dict.fromkeys(c for cells in rows.values() for c in cells))
    print(f"| {first} | " + " | ".join(columns) + " |")
    print("| --- " * (len(columns) + 1) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells.get(c, "") for c in columns) + " |")
    print()


build = pathlib.Path(sys.argv[1])
lines = pathlib.Path(sys.argv[2]).read_text().splitlines() if len(sys.argv) > 2 else []
with tempfile.TemporaryDirectory() as folder:
    out = pathlib.Path(folder) / "parity"
    for test in TESTS:
        program = build / "bin" / test
        if not program.exists():
            continue
        done = subprocess.run([program], env={**os.environ, "FETTLE_PARITY": str(out), "QT_QPA_PLATFORM": "offscreen"},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode != 0:
            sys.exit(f"{test} failed; no table is written from a failing test")
    lines = (out.read_text().splitlines() if out.exists() else []) + lines
sections = collections.defaultdict(lambda: collections.defaultdict(dict))
for line in lines:
    row, column, value = line.split("\t")
    section, _, name = row.rpartition("/")
    sections[section or "family"][name][column] = cell(value)
print("# Parity\n\nMade by `tests/oracles/parity_table.py build/test > docs/parity.md`; do not edit.\n")
for section, title in TITLES.items():
    if section in sections:
        print(title + "\n")
        table(sections[section], section)
