#!/usr/bin/env python3
"""Runs the core and the plain loop in turn and prints the ratio of tokens per second.

usage: compare.py --bench build/release/bin/bench_training --python VENV/bin/python --model FOLDER [--rounds 3]
"""
import argparse
import json
import pathlib
import statistics
import subprocess

a = argparse.ArgumentParser()
a.add_argument("--bench", required=True)
a.add_argument("--python", required=True)
a.add_argument("--model", required=True)
a.add_argument("--rounds", type=int, default=3)
a.add_argument("--steps", type=int, default=2)
a.add_argument("--methods", default="lora,full")
args = a.parse_args()
here = pathlib.Path(__file__).resolve().parent


def once(command):
    line = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()[-1]
    return json.loads(line)["tokensPerSecond"]


for method in args.methods.split(","):
    common = ["--model", args.model, "--method", method, "--steps", str(args.steps)]
    ours, peer = [], []
    for _ in range(args.rounds):
        ours.append(once([args.bench, *common]))
        peer.append(once([args.python, str(here / "plain_loop.py"), *common]))
    ratios = [x / y for x, y in zip(ours, peer)]
    print(f"{method}: fettle {statistics.median(ours):.0f} tokens/s, plain loop {statistics.median(peer):.0f} tokens/s, "
          f"ratio {statistics.median(ratios):.2f} (lowest {min(ratios):.2f}, highest {max(ratios):.2f}, {args.rounds} rounds)", flush=True)
