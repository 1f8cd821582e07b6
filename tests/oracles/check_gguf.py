#!/usr/bin/env python3
"""Checks our GGUF files with llama.cpp itself: tiny random models of every family are made with transformers, written
by `fettle-cli`, loaded by libllama, and compared in token ids and log-probabilities (of encoders: in states); then read back
by `fettle-cli` and compared with the original in transformers.

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
import safetensors.torch
import torch
import transformers as hf

import corpus_tokenizers as pipelines
from make_corpus import catalogue_lines

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
        "gemma2_uncapped": hf.Gemma2Config(**s(head_dim=16, sliding_window=8, attn_logit_softcapping=None, final_logit_softcapping=None)),
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


def t5(kind, v, **more):
    return getattr(hf, kind)(vocab_size=v, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=3, **more)


def writers(v):
    """Name -> configuration, whether the file has a head of its own."""
    gated = dict(feed_forward_proj="gated-gelu")
    return {
        "t5": (t5("T5Config", v), False),
        "t5_gated": (t5("T5Config", v, **gated, tie_word_embeddings=False), True),
        "t5_unscaled": (t5("T5Config", v, **gated, tie_word_embeddings=False), False),
        "t5_buckets": (t5("T5Config", v, num_decoder_layers=1, relative_attention_num_buckets=16), False),
        "mt5": (t5("MT5Config", v, **gated), True),
        "umt5": (t5("UMT5Config", v, **gated), False),
        "umt5_head": (t5("UMT5Config", v, **gated, num_decoder_layers=1), True),
    }


def encoders(sizes):
    """Name -> configuration, the pipeline of its tokenizer."""
    b = lambda kind, pipeline, pad=0, **more: (getattr(hf, kind)(vocab_size=sizes[pipeline], max_position_embeddings=120, pad_token_id=pad,
                                                                 **{**{k: v for k, v in shape().items() if "key_value" not in k and "position" not in k}, **more}), pipeline)
    return {
        "bert": b("BertConfig", "bert"),
        "bert_cased": b("BertConfig", "bert_cased", type_vocab_size=1),
        "distilbert": (hf.DistilBertConfig(vocab_size=sizes["bert"], dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=120), "bert"),
        "roberta": b("RobertaConfig", "roberta", pad=1, type_vocab_size=1, layer_norm_eps=1e-5),
        "xlm_roberta": b("XLMRobertaConfig", "xlm_roberta", pad=1, type_vocab_size=1, layer_norm_eps=1e-5),
        "camembert": b("CamembertConfig", "xlm_roberta", pad=1, type_vocab_size=1, layer_norm_eps=1e-5),
    }


def tokenizers(lines):
    """One for each kind of pipeline, as the folder wants it. Unigram rewrites characters by the published table."""
    pipelines.SIZE = 900
    charsmap = pipelines.sentencepiece_charsmap()
    bert = lambda **options: pipelines.words(lines, pipelines.models.WordPiece(unk_token="[UNK]"), pipelines.trainers.WordPieceTrainer(
        vocab_size=900, special_tokens=pipelines.BERT, limit_alphabet=400, show_progress=False), pipelines.normalizers.BertNormalizer(**options),
        pipelines.pre_tokenizers.BertPreTokenizer(), True, pipelines.decoders.WordPiece())
    names = dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")
    marks = dict(bos_token="<s>", cls_token="<s>", eos_token="</s>", sep_token="</s>", pad_token="<pad>", unk_token="<unk>")
    unigram = json.loads(pipelines.unigram(lines * 8, None, "always", charsmap=charsmap).to_str())
    t5 = json.loads(json.dumps(unigram))
    t5["normalizer"]["normalizers"][1] = {"type": "Strip", "strip_left": False, "strip_right": True}
    t5["normalizer"]["normalizers"].append({"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "▁"})
    unigram["model"]["vocab"] = [["<s>", 0.0]] + unigram["model"]["vocab"]
    unigram["model"]["unk_id"] += 1
    split = {"type": "WhitespaceSplit"}
    unigram["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, unigram["pre_tokenizer"]]}
    unigram["added_tokens"] = [dict(unigram["added_tokens"][0], id=i, content=token) for i, token in enumerate(["<s>", "<pad>", "</s>", "<unk>"])]
    around = lambda first, last: {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": first[0], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                                                          {"SpecialToken": {"id": last[0], "type_id": 0}}],
                                  "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
                                  "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (first, last)}}
    unigram["post_processor"] = around(("<s>", 0), ("</s>", 2))
    roberta = json.loads(pipelines.byte_level(lines, []).to_str())
    for old, new in zip(pipelines.CHAT, ("<s>", "<pad>", "</s>")):
        roberta["model"]["vocab"][new] = roberta["model"]["vocab"].pop(old)
        next(t for t in roberta["added_tokens"] if t["content"] == old)["content"] = new
    roberta["post_processor"] = {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 2], "trim_offsets": True, "add_prefix_space": False}
    dressed = lambda inner, **more: hf.PreTrainedTokenizerFast(
        tokenizer_object=inner if not isinstance(inner, dict) else pipelines.Tokenizer.from_str(json.dumps(inner)), **more)
    return {
        "t5": dressed(t5, eos_token="</s>", pad_token="<pad>", unk_token="<unk>"),
        "xlm_roberta": dressed(unigram, **marks),
        "roberta": dressed(roberta, **{k: v for k, v in marks.items() if k != "unk_token"}),
        "bert": dressed(bert(lowercase=True), **names),
        "bert_cased": dressed(bert(lowercase=False), **names),
    }


class Llama:
    """One model in libllama, everything in float32 on one thread. `states`: an encoder."""

    def __init__(self, path, states=False):
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
        if states:
            c.pooling_type = 0
        self.context = llama_cpp.llama_init_from_model(self.model, c)
        llama_cpp.llama_set_embeddings(self.context, states)
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)

    def tokens(self, text, special):
        raw = text.encode()
        out = (llama_cpp.llama_token * (len(raw) * 2 + 16))()
        count = llama_cpp.llama_tokenize(self.vocab, raw, len(raw), out, len(out), special, special)
        return list(out[:count])

    def rows(self, work, ids, row, size):
        batch = llama_cpp.llama_batch_init(len(ids), 0, 1)
        for i, token in enumerate(ids):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0], batch.logits[i] = token, i, 1, 0, 1
        batch.n_tokens = len(ids)
        if work(self.context, batch) != 0:
            raise RuntimeError("llama.cpp does not run the model")
        rows = [torch.tensor(row(self.context, i)[:size]) for i in range(len(ids) if row else 0)]
        llama_cpp.llama_batch_free(batch)
        return torch.stack(rows) if rows else None

    def logits(self, ids, read=None):
        """Of an encoder-decoder, which has `read` something first."""
        if read:
            self.rows(llama_cpp.llama_encode, read, None, 0)
        return self.rows(llama_cpp.llama_decode, ids, llama_cpp.llama_get_logits_ith, llama_cpp.llama_vocab_n_tokens(self.vocab))

    def states(self, ids):
        return self.rows(llama_cpp.llama_encode, ids, llama_cpp.llama_get_embeddings_ith, llama_cpp.llama_model_n_embd(self.model))

    def close(self):
        llama_cpp.llama_free(self.context)
        llama_cpp.llama_model_free(self.model)


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError((done.stderr + done.stdout).strip()[-300:])
    return done.stdout


IDS = [5, 17, 200, 8, 3, 99, 45, 231, 7, 7, 120, 66, 31, 250, 12, 90]
LOADERS = {"decoder": hf.AutoModelForCausalLM, "writer": hf.AutoModelForSeq2SeqLM, "encoder": hf.AutoModel}


def load(kind, folder):
    return LOADERS[kind].from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


class TableGelu(torch.nn.Module):
    """GELU as llama.cpp has it: the tanh form, from a table in half precision."""

    def forward(self, x):
        halves = torch.nn.functional.gelu(x.half().float(), approximate="tanh").half().float()
        return torch.where(x >= 10, x, torch.where(x <= -10, torch.zeros_like(x), halves))


def with_table(model):
    """The model with llama.cpp's GELU in place of its own."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if "GELU" in type(child).__name__:
                setattr(module, name, TableGelu())
    return model


def near(difference, gelu):
    """A value at the edge of two halves may be rounded otherwise there: a part of what the table does, `gelu`."""
    return difference < max(1e-4, gelu / 3)


def answers(kind, model):
    """Log-probabilities, or the states of an encoder."""
    with torch.no_grad():
        if kind == "encoder":
            return model(torch.tensor([IDS])).last_hidden_state[0].double()
        more = {"decoder_input_ids": torch.tensor([[0, *IDS[::-1]]])} if kind == "writer" else {}
        return torch.log_softmax(model(torch.tensor([IDS]), **more).logits[0].double(), -1)


def asked(llama, kind):
    if kind == "encoder":
        return llama.states(IDS).double()
    logits = llama.logits([0, *IDS[::-1]], read=IDS) if kind == "writer" else llama.logits(IDS)
    return torch.log_softmax(logits.double(), -1)


def make(kind, config, tokenizer, folder, ownHead=False):
    torch.manual_seed(3)
    if kind == "decoder":
        for key, value in (("bos_token_id", 1), ("eos_token_id", 2), ("pad_token_id", 0)):
            setattr(config, key, value)
    model = LOADERS[kind].from_config(config).float()
    for name, weight in model.named_parameters():  # livelier than the usual start, norms too
        with torch.no_grad():
            weight.add_(torch.randn_like(weight) * (0.1 if weight.dim() > 1 else 0.2))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if ownHead:  # as published files have it; the library ties when it makes a model
        file, settings = folder / "model.safetensors", json.loads((folder / "config.json").read_text())
        weights = safetensors.torch.load_file(file)
        weights["lm_head.weight"] = torch.randn(config.vocab_size, config.d_model) * 0.2
        safetensors.torch.save_file(weights, file, metadata={"format": "pt"})
        settings["tie_word_embeddings"] = False
        settings.pop("scale_decoder_outputs", None)
        (folder / "config.json").write_text(json.dumps(settings))


def cases():
    """Name, kind, configuration, tokenizer, whether the file has a head of its own."""
    tiny = hf.AutoTokenizer.from_pretrained(HERE / "fixtures/tiny_llama")
    for name, config in families(len(tiny)).items():
        yield name, "decoder", config, tiny, False
    lines = [line for language in ("de", "fr", "ru", "ja", "tr", "vi", "ko", "el") for line in catalogue_lines(language)[:120]]
    made = tokenizers(lines)
    for name, (config, own) in writers(len(made["t5"])).items():
        yield name, "writer", config, made["t5"], own
    for name, (config, pipeline) in encoders({key: len(each) for key, each in made.items()}).items():
        yield name, "encoder", config, made[pipeline], False


def tokenised_otherwise(llama, tokenizer, kind):
    """Texts with other ids. parse_special off: what a user typed; on: the whole text is trusted."""
    more = [] if kind == "decoder" else [line for language in ("de", "ru", "ja", "el", "hi", "th", "ar") for line in catalogue_lines(language)[200:240]]
    texts = NASTY + [text for text in more if "\0" not in text]
    if kind == "encoder":
        texts = [text for text in texts if len(text) < 300]  # a word of more than 100 letters is unknown to WordPiece; a note says it
    wrong = [t for t in NASTY if kind == "decoder" and llama.tokens(t, False) != tokenizer(t, add_special_tokens=False, split_special_tokens=True)["input_ids"]]
    return wrong + [t for t in texts if llama.tokens(t, True) != tokenizer(t)["input_ids"]], len(texts) + (len(NASTY) if kind == "decoder" else 0)


def check(name, kind, config, tokenizer, own, cli, work):
    """Whether the file says the same model; a line about it."""
    # The export is a folder of its own, with the proof beside the file.
    folder, export, back = work / name, work / f"{name}-file", work / "workspace/models" / f"{name}-back"
    file = export / f"{export.name}.gguf"
    for each in (folder, export):
        shutil.rmtree(each, ignore_errors=True)
    make(kind, config, tokenizer, folder, own)
    run(*cli, "model", "import", folder, "--as", name)
    run(*cli, "export", name, "--as", "gguf", "--type", "F32", "--to", export)
    theirs, tabled = answers(kind, load(kind, folder)), answers(kind, with_table(load(kind, folder)))
    llama = Llama(file, kind == "encoder")
    difference, gelu = (float((tabled - other).abs().max()) for other in (asked(llama, kind), theirs))
    wrong, count = tokenised_otherwise(llama, tokenizer, kind)
    llama.close()
    run(*cli, "model", "import", file, "--as", f"{name}-back")
    again = float((answers(kind, load(kind, back)) - theirs).abs().max())
    fine = near(difference, gelu) and again < 1e-4 and not wrong
    print(f"{name}: {'states' if kind == 'encoder' else 'log-probabilities'} {difference:.2g} in llama.cpp"
          f"{f' beside its own GELU ({gelu:.2g} from ours)' if gelu else ''}, {again:.2g} read back; "
          f"{len(wrong)} of {count} texts tokenised otherwise{'' if fine else '   WRONG'}", flush=True)
    for text in wrong:
        print("   ", json.dumps(text))
    return fine


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--cli", required=True)
    a.add_argument("--only", default="")
    a.add_argument("--keep")
    args = a.parse_args()
    start()
    work = pathlib.Path(args.keep or tempfile.mkdtemp())
    cli = [args.cli, "--workspace", work / "workspace"]
    bad = 0
    for name, *case in cases():
        if args.only and name not in args.only.split(","):
            continue
        try:
            fine = check(name, *case, cli, work)
        except Exception as e:
            fine = False
            print(f"{name}: {e}   WRONG")
        bad += 0 if fine else 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
