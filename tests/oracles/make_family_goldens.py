#!/usr/bin/env python3
"""Makes tests/fixtures/families/NAME (a random tiny checkpoint) and tests/golden/families.json with transformers:
logits of one document and of a left-padded second one, gradients of a mean loss, a greedy continuation.

usage: make_family_goldens.py [NAME ..]
"""
import json
import math
import pathlib
import shutil
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM

from golden_help import fill, probes

ROOT = pathlib.Path(__file__).resolve().parent.parent
torch.set_num_threads(2)
BASE = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
PLAIN = {k: v for k, v in BASE.items() if k != "num_key_value_heads"}
GPT2 = dict(vocab_size=48, n_embd=16, n_layer=2, n_head=4, n_positions=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)
ROPE = {"rope_theta": 10000.0}
FIRST = [5, 9, 31, 8, 40, 11, 7, 23, 46, 3, 19, 12, 27, 33, 6, 14]
SECOND = [17, 4, 44, 21, 38, 10]

# name: configuration class, arguments
CASES = {
    "llama": ("LlamaConfig", dict(BASE, tie_word_embeddings=False)),
    "llama_linear": ("LlamaConfig", dict(BASE, rope_parameters={"rope_type": "linear", "factor": 4.0, **ROPE})),
    "llama_dynamic": ("LlamaConfig", dict(BASE, max_position_embeddings=8,
                                          rope_parameters={"rope_type": "dynamic", "factor": 2.0, **ROPE})),
    "llama_llama3": ("LlamaConfig", dict(BASE, rope_parameters={
        "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16, **ROPE})),
    "llama_yarn": ("LlamaConfig", dict(BASE, head_dim=8, rope_parameters={
        "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16, **ROPE})),
    "mistral": ("MistralConfig", dict(BASE, sliding_window=6, head_dim=8)),
    "smollm3": ("SmolLM3Config", dict(BASE, num_hidden_layers=4, no_rope_layer_interval=4, use_cache=True)),
    "qwen2": ("Qwen2Config", dict(BASE, tie_word_embeddings=True)),
    "qwen2_window": ("Qwen2Config", dict(BASE, num_hidden_layers=3, use_sliding_window=True, sliding_window=5,
                                         max_window_layers=1)),
    "qwen3": ("Qwen3Config", dict(BASE, head_dim=8)),
    "gemma": ("GemmaConfig", dict(BASE, head_dim=8)),
    "gemma2": ("Gemma2Config", dict(BASE, head_dim=8, sliding_window=6, query_pre_attn_scalar=12)),
    "gemma3_text": ("Gemma3TextConfig", dict(BASE, head_dim=8, sliding_window=6, num_hidden_layers=3,
                                             layer_types=["sliding_attention", "full_attention", "sliding_attention"],
                                             query_pre_attn_scalar=12)),
    "phi": ("PhiConfig", dict(PLAIN, partial_rotary_factor=0.5)),
    "phi3": ("Phi3Config", dict(BASE, sliding_window=6)),
    "phi3_longrope": ("Phi3Config", dict(BASE, max_position_embeddings=64, original_max_position_embeddings=8,
                                         rope_parameters={"rope_type": "longrope", "short_factor": [1.0, 1.5],
                                                          "long_factor": [2.0, 3.0], **ROPE,
                                                          "original_max_position_embeddings": 8})),
    "gpt2": ("GPT2Config", dict(GPT2)),
    "gpt2_scaled": ("GPT2Config", dict(GPT2, scale_attn_by_inverse_layer_idx=True, n_inner=40)),
    "gpt_neo": ("GPTNeoConfig", dict(vocab_size=48, hidden_size=16, num_layers=2, num_heads=4, intermediate_size=24,
                                     attention_types=[[["global", "local"], 1]], window_size=6,
                                     max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0)),
    "gpt_neox": ("GPTNeoXConfig", dict(PLAIN, rotary_pct=0.5)),
    "gpt_neox_sequential": ("GPTNeoXConfig", dict(PLAIN, rotary_pct=1.0, use_parallel_residual=False)),
    "gpt_bigcode": ("GPTBigCodeConfig", dict(GPT2, multi_query=True)),
    "gpt_bigcode_heads": ("GPTBigCodeConfig", dict(GPT2, multi_query=False)),
    "olmo2": ("Olmo2Config", dict(BASE)),
    "granite": ("GraniteConfig", dict(BASE, embedding_multiplier=6.0, attention_multiplier=0.3,
                                      residual_multiplier=0.5, logits_scaling=4.0)),
    "mixtral": ("MixtralConfig", dict(BASE, num_local_experts=4, num_experts_per_tok=2, sliding_window=None)),
    "qwen3_moe": ("Qwen3MoeConfig", dict(BASE, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12,
                                         norm_topk_prob=True, mlp_only_layers=[1], decoder_sparse_step=1)),
    "qwen3_moe_sparse": ("Qwen3MoeConfig", dict(BASE, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=12,
                                                norm_topk_prob=True, mlp_only_layers=[], decoder_sparse_step=1)),
}


def rows(values, which):
    return {str(i): [float(f"{v:.8g}") for v in values[i]] for i in which}


def gradients(model, config):
    """By the names of the checkpoint; the library holds all experts of a layer in two tensors."""
    out = {}
    for name, value in sorted(model.named_parameters()):
        if value.grad is None:
            continue
        if ".mlp.experts." not in name:
            if config.model_type == "gpt_neox" and name == "lm_head.weight":
                name = "embed_out.weight"
            if config.model_type == "mixtral":
                name = name.replace(".mlp.gate.", ".block_sparse_moe.gate.")
            out[name] = probes(value.grad)
            continue
        mixtral = config.model_type == "mixtral"
        layer = name.split(".mlp.experts.")[0] + (".block_sparse_moe" if mixtral else ".mlp")
        gate, up, down = ("w1", "w3", "w2") if mixtral else ("gate_proj", "up_proj", "down_proj")
        for e, grad in enumerate(value.grad):
            parts = {down: grad} if name.endswith("down_proj") else dict(zip((gate, up), grad.chunk(2)))
            for part, each in parts.items():
                out[f"{layer}.experts.{e}.{part}.weight"] = probes(each)
    return out


def left_padded(model, first, second):
    n = len(first)
    ids = torch.tensor([first, [0] * (n - len(second)) + second])
    mask = torch.tensor([[1] * n, [0] * (n - len(second)) + [1] * len(second)])
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    with torch.no_grad():
        return model(ids, attention_mask=mask, position_ids=positions).logits[1, -len(second):].double()


def greedy(model, ids, count, cached):
    """Without a cache, but where positions depend on the length: cached keys keep the angles of their time."""
    out, cache = list(ids), None
    with torch.no_grad():
        for _ in range(count):
            answer = model(torch.tensor([out[-1:] if cache else out]), past_key_values=cache, use_cache=cached)
            cache = answer.past_key_values if cached else None
            out.append(int(answer.logits[0, -1].argmax()))
    return out[len(ids):]


def balance(model, config, ids):
    """The balance loss of models with experts, and what it does to the routers."""
    model.zero_grad()
    value = model(ids, labels=ids, output_router_logits=True).aux_loss
    value.backward()
    routers = {k: v for k, v in gradients(model, config).items() if k.endswith("gate.weight")}
    return {"value": float(value.detach()), "gradients": routers}


def make(folder, kind, arguments, seed=11, first=FIRST, second=SECOND):
    """A checkpoint in `folder` and what the library says of it."""
    config = getattr(transformers, kind)(**arguments)
    config._attn_implementation = "eager"
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", experts_implementation="eager").eval()
    fill(model, seed)
    model.tie_weights()
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager",
                                                 experts_implementation="eager", dtype=torch.float32).eval()
    (folder / "generation_config.json").unlink(missing_ok=True)
    ids = torch.tensor([first])
    logits = model(ids).logits[0]
    loss = torch.nn.functional.cross_entropy(logits[:-1].float(), ids[0, 1:])
    loss.backward()
    # Cached keys keep the angles of their time.
    by_length = (arguments.get("rope_parameters") or {}).get("rope_type") == "dynamic"
    result = {"logits": rows(logits.detach().tolist(), (0, 5, 7, len(first) - 1)),
              "second": rows(left_padded(model, first, second).tolist(), (0, 5)),
              "loss": float(loss.detach()), "greedy": greedy(model, first, 8, cached=by_length), "gradients": gradients(model, config)}
    if hasattr(config, "router_aux_loss_coef"):
        result["balance"] = balance(model, config, ids)
    # Loaded anew: dynamic frequencies remember the longest text that was seen.
    wide = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager", experts_implementation="eager",
                                                dtype=torch.float64).eval()
    with torch.no_grad():
        result["logitsWide"] = [float(f"{v:.14g}") for v in wide(ids).logits[0, -1].tolist()]
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{folder.name}: {size} bytes, loss {result['loss']:.4f}", file=sys.stderr)
    return result


def write(target, families, first=FIRST, second=SECOND):
    body = ",\n".join(f'{json.dumps(k)}: {json.dumps(v)}' for k, v in families.items())
    target.write_text('{"versions": ' + json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
                      + f',\n"first": {first}, "second": {second},\n"families": {{\n{body}\n}}}}\n')


def main():
    target = ROOT / "golden/families.json"
    known = json.loads(target.read_text())["families"] if target.exists() else {}
    for case in sys.argv[1:] or CASES:
        known[case] = make(ROOT / "fixtures/families" / case, *CASES[case])
    write(target, {case: known[case] for case in CASES if case in known})


if __name__ == "__main__":
    main()
