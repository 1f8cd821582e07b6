#!/usr/bin/env python3
"""A plain PyTorch loop with transformers and peft: rows padded to the longest, the model's own loss."""
import torch

import common

args = common.arguments(__doc__).parse_args()
model = common.load_model(args)
trained, adam = common.optimizer(model, args.method)
steps = common.read_steps(args.ids, args.steps + 1)
meter = common.Meter("plain", args, steps)
for rows in steps:
    meter.begin()
    width = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    labels = torch.full((len(rows), width), common.IGNORED)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for b, (tokens, taught) in enumerate(rows):
        ids[b, :len(tokens)] = torch.tensor(tokens)
        mask[b, :len(tokens)] = 1
        labels[b, :len(tokens)] = torch.where(torch.tensor(taught) == 1, ids[b, :len(tokens)], common.IGNORED)
    loss = model(input_ids=ids, attention_mask=mask, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    adam.step()
    adam.zero_grad(set_to_none=True)
    meter.end(loss.detach())
meter.report()
