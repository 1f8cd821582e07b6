#!/usr/bin/env python3
"""A plain PyTorch loop on a graphics card with transformers and peft, in bfloat16: rows padded to the longest of
those that are together, the loss over all labels of the step. Reads the model and the rows that gpu_bench wrote."""
import torch

import common

a = common.arguments(__doc__)
a.add_argument("--together", type=int, default=8, help="rows of a micro-batch")
a.add_argument("--grouped", action="store_true", help="rows of about one length together")
a.add_argument("--device", default="cuda")
args = a.parse_args()
model = common.load_model(args, torch.bfloat16, args.device)
trained, adam = common.optimizer(model, args.method)
steps = common.read_steps(args.ids, args.steps + 1)
meter = common.Meter("plain, grouped" if args.grouped else "plain", args, steps)
for rows in steps:
    meter.begin()
    if args.grouped:
        rows = sorted(rows, key=lambda row: len(row[0]))
    labelled = sum(sum(taught[1:]) for _, taught in rows)
    total = torch.zeros((), device=args.device)
    for begin in range(0, len(rows), args.together):
        part = rows[begin:begin + args.together]
        width = max(len(ids) for ids, _ in part)
        ids = torch.zeros(len(part), width, dtype=torch.long)
        labels = torch.full((len(part), width), common.IGNORED)
        mask = torch.zeros(len(part), width, dtype=torch.long)
        for b, (tokens, taught) in enumerate(part):
            ids[b, :len(tokens)] = torch.tensor(tokens)
            mask[b, :len(tokens)] = 1
            labels[b, :len(tokens)] = torch.where(torch.tensor(taught) == 1, ids[b, :len(tokens)], common.IGNORED)
        ids, labels, mask = (x.to(args.device) for x in (ids, labels, mask))
        loss = model(input_ids=ids, attention_mask=mask, labels=labels, num_items_in_batch=labelled).loss
        loss.backward()
        total += loss.detach()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    adam.step()
    adam.zero_grad(set_to_none=True)
    meter.end(total)  # reads it, and so waits for the step
more = {"peakAllocatedBytes": torch.cuda.max_memory_allocated()} if args.device == "cuda" else {}
meter.report(**more)
