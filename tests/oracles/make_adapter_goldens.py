#!/usr/bin/env python3
"""Makes tests/fixtures/adapters/NAME (tiny LoRA adapters of tests/fixtures/families, saved by peft) and
tests/golden/adapters.json: logits of base with adapter as peft computes them, and samples of the weights that
merge_and_unload gives.

usage: make_adapter_goldens.py [NAME ..]
"""
import json
import os
import pathlib
import shutil
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

ROOT = pathlib.Path(__file__).resolve().parent.parent
FAMILIES, ADAPTERS = ROOT / "fixtures/families", ROOT / "fixtures/adapters"
torch.set_num_threads(1)
FIRST = [5, 9, 31, 8, 40, 11, 7, 23, 46, 3, 19, 12, 27, 33, 6, 14]
SAMPLES = 12

# name: family, arguments of LoraConfig; "_" keys are for this script
CASES = {
    "llama_all_linear": ("llama", dict(target_modules="all-linear", r=3, lora_alpha=5)),
    "llama_layers": ("llama", dict(target_modules=["q_proj", "v_proj", "down_proj"], r=2, lora_alpha=4,
                                   layers_to_transform=[1], layers_pattern="layers")),
    "llama_regex": ("llama", dict(target_modules=r".*\.(q_proj|k_proj|up_proj)", r=2, lora_alpha=3,
                                  exclude_modules=["layers.0.self_attn.q_proj"])),
    "llama_patterns": ("llama", dict(target_modules=["q_proj", "v_proj", "down_proj"], r=4, lora_alpha=6, use_rslora=True,
                                     rank_pattern={"layers.0.self_attn.q_proj": 2, r"layers\.\d+\.mlp\.down_proj": 5},
                                     alpha_pattern={"v_proj": 9, "layers.1.mlp.down_proj": 1})),
    "llama_modules": ("llama", dict(target_modules=["o_proj"], r=2, modules_to_save=["embed_tokens", "lm_head", "norm"])),
    "llama_embedding": ("llama", dict(target_modules=["embed_tokens", "lm_head", "q_proj"], r=2, lora_alpha=3)),
    "llama_dora": ("llama", dict(target_modules=["q_proj", "gate_proj", "down_proj"], r=2, use_dora=True)),
    "llama_bin": ("llama", dict(target_modules=["q_proj", "v_proj"], r=2, _bin=True)),
    "llama_named": ("llama", dict(target_modules=["q_proj", "v_proj"], r=2, _name="letters")),
    "llama_bfloat16": ("llama", dict(target_modules=["q_proj", "v_proj"], r=2, _dtype=torch.bfloat16)),
    "qwen2_bias_all": ("qwen2", dict(target_modules=["q_proj", "up_proj"], r=2, bias="all")),
    "qwen2_bias_lora_only": ("qwen2", dict(target_modules=["q_proj", "v_proj"], r=2, bias="lora_only")),
    "qwen2_lora_bias": ("qwen2", dict(target_modules=["q_proj", "k_proj", "v_proj"], r=2, lora_alpha=3, lora_bias=True)),
    "gpt2": ("gpt2", dict(target_modules=["c_attn", "c_proj", "c_fc"], r=3, fan_in_fan_out=True)),
    "gpt2_bias_all": ("gpt2", dict(target_modules=["c_attn"], r=2, fan_in_fan_out=True, bias="all")),
    "gpt2_dora": ("gpt2", dict(target_modules=["c_attn", "c_fc"], r=2, fan_in_fan_out=True, use_dora=True)),
    "gpt2_embedding": ("gpt2", dict(target_modules=["wte", "c_attn"], r=2, fan_in_fan_out=True)),
    "phi3": ("phi3", dict(target_modules=["qkv_proj", "gate_up_proj"], r=2)),
    "gpt_neox": ("gpt_neox", dict(target_modules=["query_key_value", "dense_4h_to_h"], r=2, modules_to_save=["embed_out"])),
    "gemma2_head": ("gemma2", dict(target_modules=["q_proj"], r=2, modules_to_save=["lm_head"])),
    "gemma2_table": ("gemma2", dict(target_modules=["q_proj"], r=2, modules_to_save=["embed_tokens"])),
    "mixtral": ("mixtral", dict(target_modules=["q_proj", "o_proj"], r=2)),
}


def base(family):
    return AutoModelForCausalLM.from_pretrained(FAMILIES / family, dtype=torch.float32).eval()


def logits(model):
    with torch.no_grad():
        return model(torch.tensor([FIRST])).logits[0].double()


def fill(model):
    generator = torch.Generator().manual_seed(23)
    for name, value in sorted(model.named_parameters()):
        if value.requires_grad:
            with torch.no_grad():
                noise = torch.randn(value.shape, generator=generator) * 0.2
                value.copy_(value + noise if "lora_A" not in name and "lora_B" not in name else noise)


def make(name, family, arguments):
    folder = ADAPTERS / name
    shutil.rmtree(folder, ignore_errors=True)
    adapter = arguments.get("_name", "default")
    config = LoraConfig(task_type="CAUSAL_LM", **{k: v for k, v in arguments.items() if not k.startswith("_")})
    model = get_peft_model(base(family), config, adapter_name=adapter).eval()
    fill(model)
    if "_dtype" in arguments:
        for value in model.parameters():
            if value.requires_grad:
                value.data = value.data.to(arguments["_dtype"])
    model.peft_config[adapter].base_model_name_or_path = f"example/{family}"
    model.save_pretrained(folder, safe_serialization=not arguments.get("_bin", False))
    for readme in folder.rglob("README.md"):
        readme.unlink()
    # As somebody else sees it: a fresh base and what lies on the disk.
    place = folder / adapter if adapter != "default" else folder
    again = PeftModel.from_pretrained(base(family), place).eval()
    seen = logits(again)
    merged = again.merge_and_unload().eval()
    before, after = base(family).state_dict(), merged.state_dict()
    weights = {}
    for key, value in after.items():
        same = key in before and torch.equal(before[key].float(), value.float())
        flat = value.float().flatten()
        at = sorted({i * 37 % len(flat) for i in range(SAMPLES)})
        if not same:
            weights[key] = {"sum": float(flat.double().sum()), "at": at, "values": [float(f"{flat[i]:.9g}") for i in at]}
    return {"family": family, "logits": [[round(float(x), 7) for x in row] for row in seen],
            "mergedDiffers": float((logits(merged) - seen).abs().max()), "weights": weights}


chosen = sys.argv[1:] or list(CASES)
path = ROOT / "golden/adapters.json"
golden = json.loads(path.read_text()) if path.exists() and sys.argv[1:] else {"cases": {}}
golden["made_with"] = f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
golden["first"] = FIRST
for case in chosen:
    golden["cases"][case] = make(case, *CASES[case])
    entry = golden["cases"][case]
    print(case, len(entry["weights"]), "changed, merged differs by", entry["mergedDiffers"])
path.write_text(json.dumps(golden, indent=None, separators=(",", ":")) + "\n")
