#!/usr/bin/env python3
"""Random models of other shapes than the starter's, for forecast_grid.py.

usage: forecast_models.py --tokenizer FOLDER --to FOLDER

Writes qwen3 (heads wider than the states, norms on heads), gemma3 (norms behind the parts, wide heads) and gpt_neox (two
halves of a layer beside each other, two tables), each with the tokenizer and the conversation form of the folder given.
Needs transformers and torch.
"""
import argparse
import pathlib
import shutil

import torch
import transformers

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--tokenizer", required=True, type=pathlib.Path)
a.add_argument("--to", required=True, type=pathlib.Path)
args = a.parse_args()

common = {"vocab_size": len(transformers.AutoTokenizer.from_pretrained(args.tokenizer)), "max_position_embeddings": 2048,
          "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}
SHAPES = {
    "qwen3": transformers.Qwen3Config(hidden_size=512, intermediate_size=1536, num_hidden_layers=12, num_attention_heads=8,
                                      num_key_value_heads=4, head_dim=128, tie_word_embeddings=True, **common),
    "gemma3": transformers.Gemma3TextConfig(hidden_size=640, intermediate_size=2048, num_hidden_layers=10,
                                            num_attention_heads=4, num_key_value_heads=1, head_dim=256, **common),
    "gpt_neox": transformers.GPTNeoXConfig(hidden_size=512, intermediate_size=2048, num_hidden_layers=12,
                                           num_attention_heads=8, **common),
}
for name, config in SHAPES.items():
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.save_pretrained(args.to / name)
    for file in args.tokenizer.iterdir():
        if file.name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(file, args.to / name)
    print(f"{name}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters")
