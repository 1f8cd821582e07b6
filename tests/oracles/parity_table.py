#!/usr/bin/env python3
"""Runs the parity tests of a build and writes what they measured as tables.

usage: parity_table.py BUILD-FOLDER > docs/parity.md

Needs nothing but Python: what the reference said lies in tests/golden. A cell is the largest difference measured; an empty
one was not asked or cannot be. What llama.cpp says of the GGUF files: check_gguf.py; tokenizers: compare_corpus.py;
conversation forms: template_goldens.py.
"""
import collections
import os
import pathlib
import subprocess
import sys
import tempfile

TESTS = ["test_families", "test_encoders", "test_gguf_export"]
TITLE = """# Parity

Made by `tests/oracles/parity_table.py build/test > docs/parity.md`; do not edit.

Random tiny checkpoints of `transformers`: largest difference of a logit (or hidden state of an encoder) in float32, of the
gradient of a loss for every weight, relative to its norm; eight tokens of cached greedy generation; a Hugging Face folder
written and read again; a GGUF file (F32) written and read again: of encoders the part that such files hold, without pooler
and heads, and with the settings that llama.cpp knows (t5: the largest distance is 128; roberta: GELU).

What stays empty: encoders do not generate. llama.cpp has no family gpt_neo and none for longt5; it knows no scale of the scores
that changes from layer to layer (gpt2_scaled), applies no windows in qwen2 (qwen2_window), and has no layers with and without
experts in one model (qwen3_moe; qwen3_moe_sparse has experts in all). Their export is refused with a sentence, qwen2_window
is written with a note.
"""


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


def main():
    build = pathlib.Path(sys.argv[1])
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
        lines = out.read_text().splitlines()
    rows = collections.defaultdict(dict)
    for line in lines:
        name, column, value = line.split("\t")
        rows[name][column] = cell(value)
    print(TITLE)
    table(rows, "family")


if __name__ == "__main__":
    main()
