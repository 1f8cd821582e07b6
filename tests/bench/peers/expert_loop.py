#!/usr/bin/env python3
"""The expert's loop: transformers and peft as somebody writes them who knows where the time goes.

Short documents share one row under a block-diagonal causal mask with position ids that start again; the output head sees
only the rows that carry a label, in pieces, with its gradient made in the same pass. Rows of equal length need no packing
and are a plain batch with the causal kernel. --pack N puts documents into rows of at most N tokens instead of one.
"""
import torch
import torch.nn.functional as F

import common

a = common.arguments(__doc__)
a.add_argument("--pack", type=int, default=0, help="tokens of a packed row; 0: one row")
a.add_argument("--chunk", type=int, default=1024, help="label rows that the head sees together")
args = a.parse_args()


class HeadLoss(torch.autograd.Function):
    """Mean cross-entropy of h W^T; the gradient of each piece is made while its logits are there."""

    @staticmethod
    def forward(ctx, hidden, weight, targets, chunk):
        gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight) if weight.requires_grad else None
        total, count = hidden.new_zeros(()), targets.numel()
        for rows in torch.arange(count).split(chunk):
            piece = slice(int(rows[0]), int(rows[-1]) + 1)
            logits = hidden[piece] @ weight.t()
            total += F.cross_entropy(logits, targets[piece], reduction="sum")
            logits = torch.softmax(logits, dim=-1)
            logits[torch.arange(len(rows)), targets[piece]] -= 1
            logits /= count
            torch.mm(logits, weight, out=gradient[piece])
            if weight_gradient is not None:
                weight_gradient.addmm_(logits.t(), hidden[piece])
        ctx.save_for_backward(gradient, weight_gradient)
        return total / count

    @staticmethod
    def backward(ctx, upstream):
        gradient, weight_gradient = ctx.saved_tensors
        return gradient * upstream, None if weight_gradient is None else weight_gradient * upstream, None, None


def bins(rows, capacity):
    """Documents of each packed row: longest first, each into the first row that has room."""
    if len({len(ids) for ids, _ in rows}) == 1:
        return [[row] for row in rows]
    if capacity == 0:
        return [rows]
    out = []
    for row in sorted(rows, key=lambda r: -len(r[0])):
        room = next((b for b in out if sum(len(x[0]) for x in b) + len(row[0]) <= capacity), None)
        out.append([row]) if room is None else room.append(row)
    return out


def pack(rows):
    """ids, positions [bins, T], mask [bins, 1, T, T] or none, places that predict a label, and these labels."""
    packed = bins(rows, args.pack)
    width = max(sum(len(ids) for ids, _ in documents) for documents in packed)
    ids, positions = torch.zeros(2, len(packed), width, dtype=torch.long)
    document = torch.full((len(packed), width), -1)
    places, targets = [], []
    for b, documents in enumerate(packed):
        at = 0
        for d, (tokens, trained) in enumerate(documents):
            end = at + len(tokens)
            ids[b, at:end] = torch.tensor(tokens)
            positions[b, at:end] = torch.arange(len(tokens))
            document[b, at:end] = d
            for t, label in enumerate(trained):
                if label and t:
                    places.append(b * width + at + t - 1)
                    targets.append(tokens[t])
            at = end
    mask = None
    if any(len(documents) > 1 for documents in packed):
        mask = (document[:, :, None] == document[:, None, :]).tril()[:, None]
    return ids, positions, mask, torch.tensor(places), torch.tensor(targets)


model = common.load_model(args)
trained, adam = common.optimizer(model, args.method)
causal = model.get_base_model() if args.method == "lora" else model
steps = common.read_steps(args.ids, args.steps + 1)
meter = common.Meter("expert" if args.pack == 0 else f"expert-pack{args.pack}", args, steps)
for rows in steps:
    meter.begin()
    ids, positions, mask, places, targets = pack(rows)
    hidden = causal.model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).last_hidden_state
    loss = HeadLoss.apply(hidden.flatten(0, 1)[places], causal.lm_head.weight, targets, args.chunk)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    adam.step()
    adam.zero_grad(set_to_none=True)
    meter.end(loss.detach())
meter.report()
