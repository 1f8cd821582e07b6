#!/usr/bin/env python3
"""Loading in turn: Fettle and transformers, from process start to the first pass.

usage: compare_loading.py --bench build/release/bin/bench_loading --python VENV/bin/python --model FOLDER [--rounds 5]

Both load as float32 and read 16 tokens. Times are of the whole process, and of loading and the first pass alone.
"""
import argparse
import json
import statistics
import subprocess
import time

PEER = """
import json, resource, sys, time, torch
from transformers import AutoModelForCausalLM
start = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.float32)
loaded = time.perf_counter() - start
ids = torch.tensor([[(i * 37 + 11) % model.config.vocab_size for i in range(16)]])
with torch.no_grad():
    probe = model(ids).logits[0, -1].max().item()
print(json.dumps({"load": loaded, "firstPass": time.perf_counter() - start, "probe": probe,
                  "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))
"""

a = argparse.ArgumentParser()
a.add_argument("--bench", required=True)
a.add_argument("--python", required=True)
a.add_argument("--model", required=True)
a.add_argument("--rounds", type=int, default=5)
args = a.parse_args()


def once(command):
    start = time.perf_counter()
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
    return {**json.loads(out), "process": time.perf_counter() - start}


ours, peer = [], []
for _ in range(args.rounds):
    ours.append(once([args.bench, args.model]))
    peer.append(once([args.python, "-c", PEER, args.model]))
assert all(abs(x["probe"] - y["probe"]) < 1e-3 * max(1, abs(y["probe"])) for x, y in zip(ours, peer)), "the models differ"
for key, words in (("load", "loading"), ("firstPass", "loading and first pass"), ("process", "whole process")):
    ratios = [y[key] / x[key] for x, y in zip(ours, peer)]
    print(f"{words}: fettle {statistics.median(x[key] for x in ours):.2f} s, transformers "
          f"{statistics.median(y[key] for y in peer):.2f} s, {statistics.median(ratios):.1f} times faster "
          f"(lowest {min(ratios):.1f}, highest {max(ratios):.1f}, {args.rounds} rounds)")
mb = 1 << 20
print(f"memory above the weights: fettle {max(x['extraLoading'] for x in ours) / mb:.0f} MiB while loading, "
      f"{max(x['extraPass'] for x in ours) / mb:.0f} MiB after the first pass; transformers' process "
      f"{max(y['peak'] for y in peer) / mb - ours[0]['weights'] / mb:.0f} MiB")
