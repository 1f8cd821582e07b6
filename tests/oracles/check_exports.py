#!/usr/bin/env python3
"""Opens what `fettle-cli export` wrote in transformers and peft and compares it with `fettle-cli score`.

usage: check_exports.py --text FILE [--base FOLDER --adapter FOLDER --score SCORE.json] [--model FOLDER=SCORE.json ..]
SCORE.json: output of `fettle-cli --json score WHICH --file FILE`; WHICH is the run for an adapter, and for a model (merged,
in any type of number, in one file or in shards) the folder as it was imported again.
"""
import argparse
import json
import sys

import peft
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

a = argparse.ArgumentParser()
a.add_argument("--base")
a.add_argument("--text", required=True)
a.add_argument("--score")
a.add_argument("--adapter")
a.add_argument("--model", action="append", default=[])
args = a.parse_args()
text = open(args.text, encoding="utf-8").read()
worst = 0.0
pairs = [("peft", args.adapter, args.score)] if args.adapter else []
pairs += [("model", *each.split("=", 1)) for each in args.model]
for kind, folder, score in pairs:
    ours = torch.tensor(json.load(open(score))["tokens"], dtype=torch.float64)
    tokenizer = AutoTokenizer.from_pretrained(args.base if kind == "peft" else folder)
    model = AutoModelForCausalLM.from_pretrained(args.base if kind == "peft" else folder, dtype=torch.float32)
    if kind == "peft":
        model = peft.PeftModel.from_pretrained(model, folder)
    model.eval()
    ids = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    with torch.no_grad():
        logp = torch.log_softmax(model(ids).logits[0].double(), -1)
    theirs = logp[:-1].gather(1, ids[0, 1:, None])[:, 0]
    difference = float((theirs - ours).abs().max()) if len(theirs) == len(ours) else float("inf")
    worst = max(worst, difference)
    print(f"{kind} {folder}: {len(theirs)} tokens, largest difference of a log-probability {difference:.2g}")
sys.exit(0 if worst < 1e-4 else 1)
