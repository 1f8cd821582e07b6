#!/usr/bin/env python3
"""transformers' generate: greedy, float32, answers of a fixed length, prompts padded on the left."""
import json
import time

import torch
from transformers import AutoModelForCausalLM

import common

a = common.arguments(__doc__, training=False)
a.add_argument("--length", type=int, default=64)
a.add_argument("--batch", type=int, default=1)
args = a.parse_args()
torch.set_num_threads(args.threads)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa").eval()
prompts = json.load(open(args.ids))["prompts"][:args.batch]
width = max(map(len, prompts))
ids = torch.tensor([[0] * (width - len(p)) + p for p in prompts])
mask = torch.tensor([[0] * (width - len(p)) + [1] * len(p) for p in prompts])


def answers(rows, length):
    with torch.inference_mode():
        return model.generate(ids[:rows], attention_mask=mask[:rows], do_sample=False, max_new_tokens=length,
                              min_new_tokens=length, eos_token_id=None, pad_token_id=0)[:, width:]


answers(1, 4)
start = time.perf_counter()
out = answers(args.batch, args.length)
seconds = time.perf_counter() - start
print(json.dumps({"program": "transformers", "batch": args.batch, "seconds": seconds, "tokensPerSecond": out.numel() / seconds,
                  "peakBytes": common.peak_bytes(), "ids": out.tolist()}))
