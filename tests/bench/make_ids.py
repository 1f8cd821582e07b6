#!/usr/bin/env python3
"""Writes the token ids that every side of a benchmark reads, so that all see the same rows in the same order.

usage: make_ids.py A --cli fettle-cli --model FOLDER --to a.json    conversations from the sample texts, answers taught
       make_ids.py D --to d.json --vocab 49152                      rows of one length, random ids, every token taught
       make_ids.py R --to r.json --vocab 8192 --longest 256         random ids at the lengths of A, a tenth taught

       make_ids.py P --cli fettle-cli --model FOLDER --to p.json    prompts: questions on one package each

A: each row gives package descriptions one after the other and asks for a line on each; a row has as many as come nearest
to a length drawn from a lognormal law (median 140, sigma 0.9, at most 512). The tokenizer and the conversation form are
those of a run (`fettle-cli tokens --messages`).
"""
import argparse
import json
import math
import pathlib
import random
import subprocess
import tempfile

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("workload", choices=["A", "D", "R", "P"])
a.add_argument("--to", required=True)
a.add_argument("--cli", default="fettle-cli")
a.add_argument("--model")
a.add_argument("--steps", type=int, default=12)
a.add_argument("--rows", type=int, default=8)
a.add_argument("--longest", type=int, default=512)
a.add_argument("--vocab", type=int, default=49152)
a.add_argument("--seed", type=int, default=7)
args = a.parse_args()
draw = random.Random(args.seed)
CHARACTERS_PER_TOKEN = 4.6  # of the sample texts
samples = pathlib.Path(__file__).resolve().parents[2] / "resources" / "samples" / "package-summaries.jsonl"


def drawn_length():
    return min(args.longest, max(24, round(math.exp(draw.gauss(math.log(140), 0.9)))))


def tokens(packages, folder, answered=True):
    listed = "\n\n".join(p["description"] for p in packages)
    messages = [{"role": "system", "content": "Summarise each software package in one short line."},
                {"role": "user", "content": listed}]
    if answered:
        messages.append({"role": "assistant", "content": "\n".join(p["summary"] for p in packages)})
    path = pathlib.Path(folder) / "messages.json"
    path.write_text(json.dumps(messages))
    out = subprocess.run([args.cli, "--json", "tokens", args.model, "--messages", str(path)],
                         capture_output=True, text=True, check=True).stdout
    row = json.loads(out)
    return {"ids": row["ids"], "trained": row["trained"]}


def prompts(folder):
    packages = [json.loads(line) for line in samples.open()]
    draw.shuffle(packages)
    return [tokens([p], folder, answered=False)["ids"] for p in packages[:args.rows]]


def conversations(folder):
    packages = [json.loads(line) for line in samples.open()]
    draw.shuffle(packages)
    at = 0

    def row():
        nonlocal at
        characters, taken = drawn_length() * CHARACTERS_PER_TOKEN, [packages[at % len(packages)]]
        size = len(taken[0]["description"]) + len(taken[0]["summary"])
        while True:
            more = packages[(at + len(taken)) % len(packages)]
            longer = size + len(more["description"]) + len(more["summary"])
            if abs(longer - characters) > abs(size - characters):
                break
            taken.append(more)
            size = longer
        at += len(taken)
        made = tokens(taken, folder)
        while len(made["ids"]) > args.longest:
            taken.pop()
            made = tokens(taken, folder)
        return made

    return [[row() for _ in range(args.rows)] for _ in range(args.steps)]


def random_row(length, taught):
    return {"ids": [draw.randrange(args.vocab) for _ in range(length)],
            "trained": [int(t > 0 and t >= length - taught) for t in range(length)]}


if args.workload == "P":
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(args.to).write_text(json.dumps({"workload": "P", "prompts": prompts(folder)}))
    raise SystemExit
if args.workload == "A":
    with tempfile.TemporaryDirectory() as folder:
        steps = conversations(folder)
elif args.workload == "D":
    steps = [[random_row(args.longest, args.longest) for _ in range(args.rows)] for _ in range(args.steps)]
else:
    lengths = [[drawn_length() for _ in range(args.rows)] for _ in range(args.steps)]
    steps = [[random_row(n, max(1, n // 10)) for n in step] for step in lengths]
rows = [row for step in steps for row in step]
real = sum(len(r["ids"]) for r in rows)
padded = sum(args.rows * max(len(r["ids"]) for r in step) for step in steps)
about = {"workload": args.workload, "seed": args.seed, "realTokens": real, "labels": sum(sum(r["trained"]) for r in rows),
         "paddedPositions": padded, "longest": max(len(r["ids"]) for r in rows)}
pathlib.Path(args.to).write_text(json.dumps({**about, "steps": steps}))
print(json.dumps({**about, "tokensPerStep": round(real / args.steps), "labelShare": round(about["labels"] / real, 4),
                  "paddingShare": round(1 - real / padded, 4)}))
