#!/usr/bin/env python3
"""Makes tests/fixtures/bitsandbytes: tests/fixtures/tiny_llama as transformers and bitsandbytes (0.50.2, on the processor)
save it in 4 bits (NF4 twice quantised, FP4) and in 8 (LLM.int8), and expected.json with logits of the weights that these decode
to, in float32.

usage: make_bitsandbytes_fixtures.py        in an environment with torch, transformers and bitsandbytes
"""
import json
import pathlib
import shutil

import bitsandbytes
import bitsandbytes.functional as bnb
import torch
import transformers as hf

HERE = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
SOURCE, TARGET = HERE / "tiny_llama", HERE / "bitsandbytes"
IDS = [1, 5, 9, 200, 33, 7, 639, 12]
KINDS = {"nf4": dict(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.float32),
         "fp4": dict(load_in_4bit=True, bnb_4bit_quant_type="fp4", bnb_4bit_compute_dtype=torch.float32), "int8": dict(load_in_8bit=True)}


def decoded(module):
    weight = module.weight
    if isinstance(module, bitsandbytes.nn.Linear4bit):
        # By the formula: the kernel of this version takes wrong maxima on the processor when a row is no multiple of a block.
        state, codes = weight.quant_state, weight.data.flatten()
        absmax = bnb.dequantize_blockwise(state.absmax, state.state2) + state.offset if state.nested else state.absmax
        values = state.code[torch.stack([codes >> 4, codes & 15], 1).flatten().long()]
        return (values.view(-1, state.blocksize) * absmax.view(-1, 1)).reshape(state.shape)
    return bnb.int8_vectorwise_dequant(weight.CB if weight.CB is not None else weight.data, weight.SCB).float()


shutil.rmtree(TARGET, ignore_errors=True)
expected = {"ids": IDS, "bitsandbytes": bitsandbytes.__version__, "transformers": hf.__version__}
for kind, how in KINDS.items():
    model = hf.AutoModelForCausalLM.from_pretrained(SOURCE, quantization_config=hf.BitsAndBytesConfig(**how), dtype=torch.float32, device_map="cpu")
    plain = hf.AutoModelForCausalLM.from_pretrained(SOURCE, dtype=torch.float32).eval()
    modules, count = dict(plain.named_modules()), 0
    for name, module in model.named_modules():
        if isinstance(module, (bitsandbytes.nn.Linear4bit, bitsandbytes.nn.Linear8bitLt)):
            modules[name].weight.data = decoded(module).reshape(modules[name].weight.shape)
            count += 1
    with torch.inference_mode():
        logits = plain(torch.tensor([IDS])).logits[0]
        own = model(torch.tensor([IDS])).logits[0].float() if kind == "int8" else None  # see decoded()
    expected[kind] = {"decodedMatrices": count, "lastLogits": logits[-1, ::16].tolist(), "sum": logits.double().sum().item()}
    if own is not None:
        expected[kind]["largestDifferenceOfTheirOwnPass"] = (own - logits).abs().max().item()
    model.save_pretrained(TARGET / kind)
    for left in ("generation_config.json", "README.md"):
        (TARGET / kind / left).unlink(missing_ok=True)
(TARGET / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
