#!/usr/bin/env python3
"""transformers loads a folder and reads 16 tokens."""
import argparse
import json
import time

import torch
from transformers import AutoModelForCausalLM

import common

a = argparse.ArgumentParser(description=__doc__)
a.add_argument("--model", required=True)
args = a.parse_args()
start = time.perf_counter()
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
loaded = time.perf_counter() - start
ids = torch.tensor([[(i * 37 + 11) % model.config.vocab_size for i in range(16)]])
with torch.no_grad():
    probe = model(ids).logits[0, -1].max().item()
print(json.dumps({"load": loaded, "firstPass": time.perf_counter() - start, "process": common.seconds_since_start(),
                  "probe": probe, "peakBytes": common.peak_bytes()}))
