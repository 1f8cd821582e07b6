#!/usr/bin/env python3
"""Makes tests/golden/quantised.json: matrices that bitsandbytes (0.50.2, on the processor) holds in 4 bits.

usage: make_quant_goldens.py        in an environment with torch and bitsandbytes
"""
import hashlib
import json
import pathlib

import bitsandbytes
import bitsandbytes.functional as bnb
import torch

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"


def weights(count):
    """Bell-shaped numbers that every language makes to the last bit; see weightsOf() in test_quantised.cpp."""
    i = torch.arange(count, dtype=torch.int64)
    h = (i * 2654435761 + 12345) & 0xFFFFFFFF
    h = ((h ^ (h >> 15)) * 2246822519) & 0xFFFFFFFF
    h = h ^ (h >> 13)
    total = (h & 255) + (h >> 8 & 255) + (h >> 16 & 255) + (h >> 24 & 255) - 510
    w = total.float() * (1 + i // 64 % 7).float() / 1024
    if count > 192:
        w[64:128] = 0  # a block of nothing
        w[128] *= 16  # one value beside which the others are small
    return w


def raw(tensor):
    return tensor.contiguous().flatten().view(torch.uint8).numpy().tobytes()


def case(rows, columns, doubled, kind="nf4"):
    w = weights(rows * columns).reshape(rows, columns)
    packed, state = bnb.quantize_4bit(w, quant_type=kind, compress_statistics=doubled)
    out = {"kind": kind, "rows": rows, "columns": columns, "doubled": doubled, "packed": raw(packed).hex(), "absmax": raw(state.absmax).hex(),
           "map": raw(state.code).hex()}
    if doubled:
        out.update(nestedAbsmax=raw(state.state2.absmax).hex(), nestedMap=raw(state.state2.code).hex(), offset=state.offset.item())
    out["dequantised"] = hashlib.sha256(raw(bnb.dequantize_4bit(packed, state))).hexdigest()
    return out


cases = [case(3, 64, False), case(5, 13, False), case(37, 70, False), case(16, 192, False), case(37, 70, True), case(96, 192, True),
         case(4, 64, False, "fp4")]
text = json.dumps({"bitsandbytes": bitsandbytes.__version__, "torch": torch.__version__.split("+")[0],
                   "dynamicMap": raw(bnb.create_dynamic_map()).hex(), "cases": cases}, indent=0)
(GOLDEN / "quantised.json").write_text(text + "\n")
