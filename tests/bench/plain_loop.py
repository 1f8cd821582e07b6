#!/usr/bin/env python3
"""The peer: a plain PyTorch training loop with transformers and peft; prints one JSON line."""
import argparse
import json
import time

import peft
import torch
from transformers import AutoModelForCausalLM

a = argparse.ArgumentParser()
a.add_argument("--model", required=True)
a.add_argument("--method", default="lora")
a.add_argument("--batch", type=int, default=8)
a.add_argument("--length", type=int, default=512)
a.add_argument("--steps", type=int, default=3)
args = a.parse_args()
torch.set_num_threads(2)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32, attn_implementation="sdpa")
model.config.use_cache = False
if args.method == "lora":
    model = peft.get_peft_model(model, peft.LoraConfig(
        r=16, lora_alpha=32, lora_dropout=0.0, task_type="CAUSAL_LM",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]))
model.train()
params = [p for p in model.parameters() if p.requires_grad]
opt = torch.optim.AdamW(params, lr=1e-5, weight_decay=0.0, fused=True)
gen = torch.Generator().manual_seed(7)
seconds, loss = [], 0.0
for step in range(args.steps + 1):
    ids = torch.randint(0, model.config.vocab_size, (args.batch, args.length), generator=gen)
    start = time.perf_counter()
    out = model(input_ids=ids, labels=ids)
    out.loss.backward()
    torch.nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    opt.zero_grad(set_to_none=True)
    loss = float(out.loss.detach())
    if step > 0:
        seconds.append(time.perf_counter() - start)
median = sorted(seconds)[len(seconds) // 2]
print(json.dumps({"program": "plain", "method": args.method, "tokensPerSecond": round(args.batch * args.length / median, 1),
                  "secondsPerStep": round(median, 3), "loss": round(loss, 4)}))
