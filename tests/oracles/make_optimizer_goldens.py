#!/usr/bin/env python3
"""Goldens of AdamW with moments in 8 bits: the two dynamic maps of bitsandbytes, and steps whose moments are rounded to the
nearest value of these maps in blocks of 256. (bitsandbytes 0.50.2 itself rounds small values to coarser neighbours on the
processor, 1.6e-7 of the largest to 1.6e-5, so its own steps are no reference.)

usage: make_optimizer_goldens.py > tests/golden/adamw8bit.json    (torch and bitsandbytes)
"""
import json

import torch
from bitsandbytes.functional import create_dynamic_map

COUNT, STEPS, EVERY, BLOCK = 4096 + 100, 6, 37, 256
RATE, BETA1, BETA2, EPSILON, DECAY = 1e-2, 0.9, 0.995, 1e-8, 0.1
MAPS = {"signed": create_dynamic_map(signed=True), "unsigned": create_dynamic_map(signed=False)}


def ramp(k, scale):
    return ((k * 7919 % 1000).float() / 1000 - 0.5) * scale


def rounded(values, name):
    parts = []
    for part in values.split(BLOCK):
        largest = part.abs().max()
        codes = ((part / largest)[:, None] - MAPS[name][None]).abs().argmin(1) if largest > 0 else None
        parts.append(MAPS[name][codes] * largest if largest > 0 else part)
    return torch.cat(parts)


k = torch.arange(COUNT)
parameter, first, second = ramp(k, 0.2), torch.zeros(COUNT), torch.zeros(COUNT)
sizes = torch.pow(4.0, -(k % 3).float())
points = []
for step in range(1, STEPS + 1):
    gradient = ramp(k + 104729 * step, 1.0) * sizes
    first = BETA1 * first + (1 - BETA1) * gradient
    second = BETA2 * second + (1 - BETA2) * gradient**2
    root = (second / (1 - BETA2**step)).sqrt() + EPSILON
    parameter = parameter * (1 - RATE * DECAY) - RATE / (1 - BETA1**step) * first / root
    first, second = rounded(first, "signed"), rounded(second, "unsigned")
    points.append(parameter[::EVERY].tolist())
print(json.dumps({"count": COUNT, "every": EVERY, "rate": RATE, "beta1": BETA1, "beta2": BETA2, "epsilon": EPSILON, "weightDecay": DECAY,
                  **{name: values.tolist() for name, values in MAPS.items()},
                  "points": [[round(x, 8) for x in p] for p in points]}))
