#!/usr/bin/env python3
"""Checks our GGUF files with llama.cpp itself: tiny random models of every family are made with transformers, written
by `fettle-cli`, loaded by libllama, and compared in token ids and log-probabilities; then read back by `fettle-cli` and
compared with the original in transformers.

usage: check_gguf.py --cli build/test/bin/fettle-cli [--only gemma2,phi3] [--keep FOLDER]
Needs the llama-cpp-python package, or its unpacked sources in FETTLE_LLAMA_CPP with the built libraries in
LLAMA_CPP_LIB_PATH. Exit code 77 when neither is there.
"""
import argparse
import ctypes
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

if "FETTLE_LLAMA_CPP" in os.environ:  # the bindings alone: the package wants further ones
    package = types.ModuleType("llama_cpp")
    package.__path__ = [os.path.join(os.environ["FETTLE_LLAMA_CPP"], "llama_cpp")]
    sys.modules["llama_cpp"] = package
try:
    import llama_cpp.llama_cpp as llama_cpp
except (ImportError, FileNotFoundError) as e:
    print("llama-cpp-python is not here:", e)
    sys.exit(77)
import torch
import transformers as hf

HERE = pathlib.Path(__file__).resolve().parents[1]
NASTY = ["Hello world", "", " ", "  two  spaces", "\n\n\tTabs\r\n", "I'LL don't we've", "1234567 3.14 ½ ²", "Ångström A\u030a 東京 🙂👨‍👩‍👧",
         "<|im_start|>user\nhi<|im_end|>\n", "नमस्ते ไทย العربية", "a" * 300, "\u00a0\u200b\ufeff", "#!/bin/sh\nif [ -f x ]; then\n\techo $x\nfi",
         "x\u0000y", "…—“quoted”", "<s> </s> <unk>"]


@llama_cpp.llama_log_callback
def log(level, text, data):
    if level == 4 and "FETTLE_LOG" in os.environ:
        print(text.decode(), end="", file=sys.stderr)


def start():
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()


def shape(**more):
    base = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, max_position_embeddings=128)
    base.update(more)
    return base


def families(v):
    """Name -> configuration; sizes that every block type fits except where a family is about another size."""
    g = dict(vocab_size=v, n_embd=64, n_inner=96, n_layer=2, n_head=4, n_positions=128)
    s = lambda **more: dict(shape(**more), vocab_size=v)
    rope = lambda **kinds: dict(rope_theta=10000.0, **kinds)
    noneox = dict(s(), num_key_value_heads=4)
    noneox.pop("num_key_value_heads")
    return {
        "llama": hf.LlamaConfig(**s()),
        "llama_tied": hf.LlamaConfig(**s(tie_word_embeddings=True)),
        "llama_biases": hf.LlamaConfig(**s(attention_bias=True, mlp_bias=True)),
        "llama_linear": hf.LlamaConfig(**s(rope_parameters=rope(rope_type="linear", factor=2.0))),
        "llama_llama3": hf.LlamaConfig(**s(rope_parameters=rope(rope_type="llama3", factor=8.0, low_freq_factor=1.0,
                                                               high_freq_factor=4.0,
                                                               original_max_position_embeddings=32))),
        "llama_yarn": hf.LlamaConfig(**s(rope_parameters=rope(rope_type="yarn", factor=4.0,
                                                             original_max_position_embeddings=32))),
        "mistral": hf.MistralConfig(**s(head_dim=32, sliding_window=None)),
        "mixtral": hf.MixtralConfig(**s(num_local_experts=4, num_experts_per_tok=2, sliding_window=None)),
        "smollm3": hf.SmolLM3Config(**s(num_hidden_layers=4, tie_word_embeddings=True)),
        "granite": hf.GraniteConfig(**s(embedding_multiplier=3.0, residual_multiplier=0.5, attention_multiplier=0.2,
                                        logits_scaling=2.0)),
        "qwen2": hf.Qwen2Config(**s()),
        "qwen3": hf.Qwen3Config(**s(head_dim=32)),
        "qwen3_moe": hf.Qwen3MoeConfig(**s(head_dim=32, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=32,
                                           norm_topk_prob=True, decoder_sparse_step=1, mlp_only_layers=[])),
        "gemma": hf.GemmaConfig(**s(head_dim=16)),
        "gemma2": hf.Gemma2Config(**s(head_dim=16, query_pre_attn_scalar=24, sliding_window=8,
                                      layer_types=["sliding_attention", "full_attention"])),
        "gemma3": hf.Gemma3TextConfig(**s(num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=24, sliding_window=8,
                                          layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
        "olmo2": hf.Olmo2Config(**s()),
        "phi": hf.PhiConfig(**s(partial_rotary_factor=0.5)),
        "phi3": hf.Phi3Config(**s(pad_token_id=0)),
        "phi3_longrope": hf.Phi3Config(**s(pad_token_id=0, original_max_position_embeddings=512, max_position_embeddings=2048, rope_parameters=dict(
            rope_type="longrope", rope_theta=10000.0, short_factor=[1.0 + i / 8 for i in range(8)],
            long_factor=[2.0 + i / 4 for i in range(8)], original_max_position_embeddings=512))),
        "gpt2": hf.GPT2Config(**g),
        "gpt_bigcode": hf.GPTBigCodeConfig(**g),
        "gpt_bigcode_heads": hf.GPTBigCodeConfig(**g, multi_query=False),
        "gpt_neox": hf.GPTNeoXConfig(**noneox),
        "gpt_neox_sequential": hf.GPTNeoXConfig(**noneox, use_parallel_residual=False, rotary_pct=0.5),
    }


class Llama:
    """One model in libllama, everything in float32 on one thread."""

    def __init__(self, path):
        p = llama_cpp.llama_model_default_params()
        p.use_mmap = True
        self.model = llama_cpp.llama_model_load_from_file(str(path).encode(), p)
        if not self.model:
            raise RuntimeError("llama.cpp does not load the file")
        c = llama_cpp.llama_context_default_params()
        c.n_ctx, c.n_batch, c.n_ubatch, c.n_threads, c.n_threads_batch = 64, 64, 64, 1, 1
        c.type_k = c.type_v = 0
        if hasattr(c, "flash_attn_type"):
            c.flash_attn_type = 0
        self.context = llama_cpp.llama_init_from_model(self.model, c)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def tokens(self, text, special):
        raw = text.encode()
        out = (llama_cpp.llama_token * (len(raw) * 2 + 16))()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), out, len(out), special, special)
        return list(out[:count])

    def logits(self, ids):
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
        batch.n_tokens = len(ids)
        if llama_cpp.llama_decode(self.context, batch) != 0:
            raise RuntimeError("llama.cpp does not run the model")
        size = llama_cpp.llama_vocab_n_tokens(self.vocab)
        rows = [torch.tensor(llama_cpp.llama_get_logits_ith(self.context, i)[:size]) for i in range(len(ids))]
        llama_cpp.llama_batch_free(batch)
        return torch.stack(rows)

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr + done.stdout).strip()[-300:])
    return done.stdout


def reference(folder, ids):
    model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return torch.log_softmax(model(torch.tensor([ids])).logits[0].double(), -1)


def make(config, tokenizer, folder):
    torch.manual_seed(3)
    for key, value in (("bos_token_id", 1), ("eos_token_id", 2), ("pad_token_id", 0)):
        setattr(config, key, value)
    model = hf.AutoModelForCausalLM.from_config(config).float()
    for name, weight in model.named_parameters():  # livelier than the usual start, norms too
        with torch.no_grad():
            weight.add_(torch.randn_like(weight) * (0.1 if weight.dim() > 1 else 0.2))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--cli", required=True)
    a.add_argument("--only", default="")
    a.add_argument("--keep")
    args = a.parse_args()
    start()
    tokenizer = hf.AutoTokenizer.from_pretrained(HERE / "fixtures/tiny_llama")
    work = pathlib.Path(args.keep or tempfile.mkdtemp())
    cli = [args.cli, "--workspace", work / "workspace"]
    ids = [5, 17, 200, 8, 3, 99, 45, 231, 7, 7, 120, 66, 31, 250, 12, 90]
    bad = 0
    for name, config in families(len(tokenizer)).items():
        if args.only and name not in args.only.split(","):
            continue
        # The export is a folder of its own, with the proof beside the file.
        folder, export, back = work / name, work / f"{name}-file", work / "workspace/models" / f"{name}-back"
        file = export / f"{export.name}.gguf"
        for each in (folder, export):
            shutil.rmtree(each, ignore_errors=True)
        try:
            make(config, tokenizer, folder)
            run(*cli, "model", "import", folder, "--as", name)
            run(*cli, "export", name, "--as", "gguf", "--type", "F32", "--to", export)
            theirs = reference(folder, ids)
            llama = Llama(file)
            ours = torch.log_softmax(llama.logits(ids).double(), -1)
            difference = float((ours - theirs).abs().max())
            # parse_special off: what a user typed; on: the whole text is trusted
            wrong = [t for t in NASTY if llama.tokens(t, False) != tokenizer(t, add_special_tokens=False, split_special_tokens=True)["input_ids"]]
            wrong += [t for t in NASTY if llama.tokens(t, True) != tokenizer(t)["input_ids"]]
            llama.close()
            run(*cli, "model", "import", file, "--as", f"{name}-back")
            again = float((reference(back, ids) - theirs).abs().max())
            limit = 3e-3 if "gelu" in json.dumps(config.to_dict()) else 1e-4  # its table of GELU is in half precision
            fine = difference < limit and again < 1e-4 and not wrong
            print(f"{name}: log-probabilities {difference:.2g} in llama.cpp, {again:.2g} read back; "
                  f"{len(wrong)} of {2 * len(NASTY)} texts tokenised otherwise{'' if fine else '   WRONG'}")
            for text in wrong:
                print("   ", json.dumps(text))
        except Exception as e:
            fine = False
            print(f"{name}: {e}   WRONG")
        bad += 0 if fine else 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
