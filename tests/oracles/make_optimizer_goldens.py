#!/usr/bin/env python3
"""Goldens of the 8-bit optimizer: steps of bitsandbytes' AdamW8bit on the processor, and its two dynamic maps.

usage: make_optimizer_goldens.py > tests/golden/adamw8bit.json    (torch and bitsandbytes 0.50.2)
"""
import json

import bitsandbytes as bnb
import torch
from bitsandbytes.functional import create_dynamic_map

COUNT, STEPS, EVERY = 4096 + 100, 6, 37


def ramp(k, scale):
    return ((k * 7919 % 1000).float() / 1000 - 0.5) * scale


k = torch.arange(COUNT)
parameter = torch.nn.Parameter(ramp(k, 0.2))
sizes = torch.pow(10.0, -(k % 5).float())
adam = bnb.optim.AdamW8bit([parameter], lr=1e-2, betas=(0.9, 0.995), eps=1e-8, weight_decay=0.1)
points = []
for step in range(STEPS):
    parameter.grad = ramp(k + 104729 * (step + 1), 1.0) * sizes
    adam.step()
    points.append(parameter.detach()[::EVERY].tolist())
print(json.dumps({"count": COUNT, "every": EVERY, "rate": 1e-2, "beta1": 0.9, "beta2": 0.995, "epsilon": 1e-8, "weightDecay": 0.1,
                  "signed": create_dynamic_map(signed=True).tolist(), "unsigned": create_dynamic_map(signed=False).tolist(),
                  "points": [[round(x, 8) for x in p] for p in points]}))
