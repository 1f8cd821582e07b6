#!/usr/bin/env python3
"""Opens what `fettle-cli export` wrote in transformers and peft and compares it with `fettle-cli score`.

usage: check_exports.py --base FOLDER --text FILE --score SCORE.json [--adapter FOLDER] [--merged FOLDER]
SCORE.json: output of `fettle-cli --json score run:N --file FILE`.
"""
import argparse
import json
import sys

import peft
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

a = argparse.ArgumentParser()
a.add_argument("--base", required=True)
a.add_argument("--text", required=True)
a.add_argument("--score", required=True)
a.add_argument("--adapter")
a.add_argument("--merged")
args = a.parse_args()
ours = torch.tensor(json.load(open(args.score))["tokens"], dtype=torch.float64)
text = open(args.text, encoding="utf-8").read()
worst = 0.0
for kind, folder in (("peft", args.adapter), ("merged", args.merged)):
    if not folder:
        continue
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
    print(f"{kind}: {len(theirs)} tokens, largest difference of a log-probability {difference:.2g}")
sys.exit(0 if worst < 1e-4 else 1)
