"""Configurations and tokenizers drawn by chance for held_back.py: shapes and settings of every family that no committed
golden has. A case is a pure function of its seed."""
import json
import pathlib
import random

import corpus_tokenizers as pipelines
from tokenizers import normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

THETAS = [10000.0, 500000.0, 77777.0]
GATED = ["silu", "silu", "silu", "gelu", "gelu_pytorch_tanh", "relu"]  # most GGUF families know one alone
PLAIN = ["gelu", "gelu", "gelu_new", "gelu_new", "relu", "gelu_pytorch_tanh", "gelu_fast", "silu"]


def ends(r):
    return dict(zip(("bos_token_id", "eos_token_id", "pad_token_id"), r.sample(range(3), 3)))


def shape(r, free=True, grouped=True):
    """Widths of a decoder; `free`: its heads need not be as wide as the model."""
    kv, ratio, width = r.choice([1, 2, 3]), r.choice([1, 2, 3, 5]), r.choice([4, 6, 8, 10, 12])
    heads = kv * ratio
    hidden = heads * (r.choice([width, 5, 7]) if free else width)
    out = dict(hidden_size=hidden, intermediate_size=r.randint(17, 45), num_hidden_layers=r.randint(1, 3),
               num_attention_heads=heads, max_position_embeddings=r.choice([40, 64, 512]), **ends(r))
    if grouped:
        out["num_key_value_heads"] = kv
    if free:
        out["head_dim"] = width
    return out


def rope(r, width, positions, kinds=("default", "linear", "dynamic", "yarn", "llama3", "longrope")):
    kind, theta = r.choice(kinds), r.choice(THETAS)
    before = r.choice([8, 20, 32])  # shorter than the text, inside the answer, longer than both
    more = {"default": {}, "linear": {"factor": r.choice([2.0, 3.5])}, "dynamic": {"factor": r.choice([1.5, 4.0])},
            "yarn": {"factor": r.choice([2.0, 8.0]), "original_max_position_embeddings": before,
                     **r.choice([{}, {"beta_fast": 16.0, "beta_slow": 2.0}, {"attention_factor": 1.3}, {"mscale": 1.0, "mscale_all_dim": 0.7}])},
            "llama3": {"factor": r.choice([4.0, 32.0]), "low_freq_factor": 1.0, "high_freq_factor": r.choice([2.0, 4.0]),
                       "original_max_position_embeddings": before},
            "longrope": {"short_factor": [r.uniform(1, 2) for _ in range(width // 2)], **r.choice([{}, {"factor": 4.0}, {"attention_factor": 1.2}]),
                         "long_factor": [r.uniform(2, 6) for _ in range(width // 2)], "original_max_position_embeddings": r.choice([8, 32])}}
    out = {"rope_type": kind, "rope_theta": theta, **more[kind]}
    return out


def llama_like(r, biases=(), kinds=None, **more):
    out = shape(r)
    out.update(rms_norm_eps=r.choice([1e-6, 1e-5, 1e-3]), hidden_act=r.choice(GATED), tie_word_embeddings=r.random() < 0.5, **more)
    out["rope_parameters"] = rope(r, out["head_dim"], out["max_position_embeddings"], *([kinds] if kinds else []))
    if out["rope_parameters"]["rope_type"] == "dynamic":
        out["max_position_embeddings"] = r.choice([8, 40])  # stretched, and not
    out.update({key: r.random() < 0.5 for key in biases})
    return out


def layer_types(r, layers):
    return [r.choice(["sliding_attention", "full_attention"]) for _ in range(layers)]


def gemma(r, second=False, third=False):
    out = shape(r)
    out.update(rms_norm_eps=r.choice([1e-6, 1e-4]), attention_bias=r.random() < 0.3)
    out["hidden_activation" if second else "hidden_act"] = r.choice(["gelu_pytorch_tanh", "gelu", "silu"])
    if second:
        out.update(query_pre_attn_scalar=r.choice([7, 20]), sliding_window=r.randint(2, 9), layer_types=layer_types(r, out["num_hidden_layers"]),
                   final_logit_softcapping=r.choice([None, 5.0]), attn_logit_softcapping=r.choice([None, 3.0]))
    scaled = rope(r, out["head_dim"], 0, ("default", "linear"))
    out["rope_parameters"] = {"full_attention": scaled, "sliding_attention": {"rope_type": "default", "rope_theta": r.choice(THETAS)}} if third else scaled
    return out


def neo(r):
    s = shape(r, free=False, grouped=False)
    kinds = [r.choice(["global", "local"]) for _ in range(s["num_hidden_layers"])]
    return dict(hidden_size=s["hidden_size"], num_layers=s["num_hidden_layers"], num_heads=s["num_attention_heads"],
                intermediate_size=r.choice([None, 33]), attention_types=[[[kind], 1] for kind in kinds], window_size=r.randint(2, 9),
                max_position_embeddings=40, activation_function=r.choice(PLAIN), layer_norm_epsilon=r.choice([1e-5, 1e-3]), **ends(r))


def gpt2(r, **more):
    s = shape(r, free=False, grouped=False)
    return dict(n_embd=s["hidden_size"], n_layer=s["num_hidden_layers"], n_head=s["num_attention_heads"], n_positions=40,
                n_inner=r.choice([None, 33]), activation_function=r.choice(PLAIN), layer_norm_epsilon=r.choice([1e-5, 1e-3]),
                tie_word_embeddings=r.random() < 0.7, scale_attn_weights=r.random() < 0.7, **more, **ends(r))


def partial(r, key, parts):
    s = shape(r, free=False, grouped=False)
    width = s["hidden_size"] // s["num_attention_heads"]
    part = r.choice([p for p in parts if width * p % 2 == 0] or [1.0])
    s.update(hidden_act=r.choice(PLAIN), layer_norm_eps=r.choice([1e-5, 1e-3]), **({key: part} if key else {}),
             rope_parameters={"rope_type": "default", "rope_theta": r.choice(THETAS), "partial_rotary_factor": part})
    return s


def experts(r, count_key):
    return llama_like(r, kinds=("default", "linear"), num_experts_per_tok=r.randint(1, 3), **{count_key: r.randint(3, 6)})


def smollm3(r):
    out = llama_like(r, ("attention_bias", "mlp_bias"))
    out.update(no_rope_layers=[r.choice([0, 1]) for _ in range(out["num_hidden_layers"])], use_cache=True,
               use_sliding_window=r.random() < 0.5, sliding_window=r.randint(2, 9))
    return out


def granite(r):
    return llama_like(r, ("attention_bias", "mlp_bias"), embedding_multiplier=r.uniform(0.5, 8), attention_multiplier=r.uniform(0.1, 0.6),
                      residual_multiplier=r.uniform(0.2, 1), logits_scaling=r.uniform(1, 8))


def qwen_windows(r, **more):
    out = llama_like(r, **more)
    if r.random() < 0.5:
        out.update(use_sliding_window=True, sliding_window=r.randint(2, 9), max_window_layers=r.randint(0, 2))
    return out


def qwen3_moe(r):
    out = experts(r, "num_experts")
    return dict(out, num_hidden_layers=r.randint(2, 3), attention_bias=r.random() < 0.3, moe_intermediate_size=r.randint(9, 20), norm_topk_prob=r.random() < 0.5,
                decoder_sparse_step=r.choice([1, 2]), mlp_only_layers=r.choice([[], [0]]))


def phi3(r):
    out = llama_like(r, kinds=("default", "longrope"), sliding_window=r.choice([None, 5]))
    out["hidden_size"] = out.pop("head_dim") * out["num_attention_heads"]
    long = out["rope_parameters"]
    if long["rope_type"] == "longrope":
        out["original_max_position_embeddings"] = long["original_max_position_embeddings"]
        out["max_position_embeddings"] = 4 * long["original_max_position_embeddings"]
    else:
        long["partial_rotary_factor"] = 1.0 if out["hidden_size"] // out["num_attention_heads"] % 4 else 0.5
    return out


DECODERS = {
    "llama": ("LlamaConfig", lambda r: llama_like(r, ("attention_bias", "mlp_bias"))),
    "mistral": ("MistralConfig", lambda r: llama_like(r, sliding_window=r.choice([None, 3, 7]))),
    "smollm3": ("SmolLM3Config", smollm3),
    "qwen2": ("Qwen2Config", qwen_windows),
    "qwen3": ("Qwen3Config", lambda r: qwen_windows(r, biases=("attention_bias",))),
    "gemma": ("GemmaConfig", gemma),
    "gemma2": ("Gemma2Config", lambda r: gemma(r, second=True)),
    "gemma3_text": ("Gemma3TextConfig", lambda r: gemma(r, second=True, third=True)),
    "phi": ("PhiConfig", lambda r: partial(r, None, (0.25, 0.5, 0.75, 1.0))),
    "phi3": ("Phi3Config", phi3),
    "gpt2": ("GPT2Config", lambda r: gpt2(r, scale_attn_by_inverse_layer_idx=r.random() < 0.4)),
    "gpt_neo": ("GPTNeoConfig", neo),
    "gpt_neox": ("GPTNeoXConfig", lambda r: dict(partial(r, "rotary_pct", (0.25, 0.5, 0.75, 1.0)), use_parallel_residual=r.random() < 0.5,
                                                 attention_bias=r.random() < 0.7, tie_word_embeddings=r.random() < 0.3)),
    "gpt_bigcode": ("GPTBigCodeConfig", lambda r: gpt2(r, multi_query=r.random() < 0.5)),
    "olmo2": ("Olmo2Config", lambda r: llama_like(r, ("attention_bias",))),
    "granite": ("GraniteConfig", granite),
    "mixtral": ("MixtralConfig", lambda r: dict(experts(r, "num_local_experts"), sliding_window=r.choice([None, 4]))),
    "qwen3_moe": ("Qwen3MoeConfig", qwen3_moe),
}


USUAL = {"gemma": "gelu_pytorch_tanh", "gemma2": "gelu_pytorch_tanh", "gemma3_text": "gelu_pytorch_tanh", "phi": "gelu_new",
         "gpt2": "gelu_new", "gpt_neox": "gelu", "gpt_bigcode": "gelu_pytorch_tanh"}


def for_files(r, family, settings):
    """GGUF files name no activation, know biases in few families and one choice of layers without positions."""
    for key in ("hidden_act", "hidden_activation", "activation_function"):
        if key in settings:
            settings[key] = USUAL.get(family, "silu")
    for key in ("attention_bias", "mlp_bias", "scale_attn_by_inverse_layer_idx"):
        if key in settings and family != "gpt_neox":
            settings[key] = settings[key] and r.random() < 0.3
    if family == "smollm3":
        settings["no_rope_layers"] = [int((i + 1) % 4 != 0) for i in range(settings["num_hidden_layers"])]
    if family == "gpt_neox":
        settings["attention_bias"] = True
    return settings


def bert(r, roberta=False):
    s = shape(r, free=False, grouped=False)
    keep = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    pad = r.choice([0, 1, 3])
    return dict({key: s[key] for key in keep}, max_position_embeddings=r.choice([45, 64]), hidden_act=r.choice(["gelu", "gelu_new", "relu"]), pad_token_id=pad,
                type_vocab_size=1 if roberta else r.choice([1, 2, 3]), layer_norm_eps=r.choice([1e-12, 1e-5]),
                tie_word_embeddings=r.random() < 0.7)


def distilbert(r):
    s = shape(r, free=False, grouped=False)
    return dict(dim=s["hidden_size"], hidden_dim=s["intermediate_size"], n_layers=s["num_hidden_layers"], n_heads=s["num_attention_heads"],
                max_position_embeddings=45, activation=r.choice(["gelu", "relu"]), pad_token_id=0, tie_word_embeddings=r.random() < 0.7)


ENCODERS = {
    "bert": (["BertForPreTraining", "BertModel", "BertForMaskedLM", "BertForSequenceClassification", "BertForTokenClassification"], "BertConfig", bert),
    "roberta": (["RobertaForMaskedLM", "RobertaModel", "RobertaForQuestionAnswering"], "RobertaConfig", lambda r: bert(r, True)),
    "xlm_roberta": (["XLMRobertaForMaskedLM", "XLMRobertaModel", "XLMRobertaForTokenClassification"], "XLMRobertaConfig", lambda r: bert(r, True)),
    "camembert": (["CamembertForMaskedLM", "CamembertModel", "CamembertForSequenceClassification"], "CamembertConfig", lambda r: bert(r, True)),
    "distilbert": (["DistilBertForMaskedLM", "DistilBertModel", "DistilBertForQuestionAnswering"], "DistilBertConfig", distilbert),
}


def t5(r, forms=("relu", "gated-gelu", "gated-silu", "gated-relu"), **more):
    buckets = r.choice([4, 8, 12, 32])
    return dict(d_model=r.choice([14, 20, 27]), d_kv=r.choice([3, 5, 8]), d_ff=r.randint(17, 45), num_layers=r.randint(1, 3),
                num_decoder_layers=r.randint(1, 3), num_heads=r.choice([1, 3, 5]), relative_attention_num_buckets=buckets,
                relative_attention_max_distance=buckets + r.randint(1, 30), feed_forward_proj=r.choice(forms), pad_token_id=0, eos_token_id=1,
                decoder_start_token_id=0, tie_word_embeddings=r.random() < 0.5, layer_norm_epsilon=r.choice([1e-6, 1e-4]), **more)


WRITERS = {
    "t5": ("T5ForConditionalGeneration", "T5Config", t5),
    "mt5": ("MT5ForConditionalGeneration", "MT5Config", t5),
    "umt5": ("UMT5ForConditionalGeneration", "UMT5Config", t5),
    "longt5": ("LongT5ForConditionalGeneration", "LongT5Config", lambda r: t5(r, ("relu", "gated-gelu"), local_radius=r.randint(2, 5), global_block_size=r.randint(3, 6),
                                                     encoder_attention_type=r.choice(["local", "transient-global"]))),
}


def lines(r, count):
    """Lines of many languages, from the catalogues of this machine and awkward ones."""
    from make_corpus import LANGUAGES, catalogue_lines
    out = [line for language in r.sample(LANGUAGES[:30], 6) for line in catalogue_lines(language)[:200]]
    awkward = ["", " ", "  two  spaces ", "\n\n\tTabs\r\n", "I'LL don't we've 1234567 3.14 ½ ²", "A\u030a 東京 🙂👨‍👩‍👧", "a" * 200, "…—“quoted”",
               "\u00a0\u200b\ufeff x", "x\u0000y", "नमस्ते ไทย العربية", "#!/bin/sh\nif [ -f x ]; then\n\techo $x\nfi"]
    return r.sample(out, min(count, len(out))) + awkward


def tokenizer(r, corpus, kind):
    """A pipeline of a published kind, trained anew: other words, another size, other options."""
    pipelines.SIZE = r.randint(300, 700)
    byte = lambda pre, normalizer=None, **options: pipelines.byte_level(corpus, pre, normalizer, processors.ByteLevel(trim_offsets=r.random() < 0.5), **options)
    make = {
        "gpt2": lambda: byte([], prefix=r.random() < 0.5),
        "llama3": lambda: byte([pipelines.LLAMA3], ignore_merges=r.random() < 0.5),
        "qwen2": lambda: byte([pipelines.QWEN], normalizers.NFC()),
        "gpt4o": lambda: byte([pipelines.GPT4O]),
        "mistral": lambda: pipelines.pieces_bpe(corpus, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])),
        "gemma": lambda: pipelines.pieces_bpe(corpus, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous")),
        "unigram": lambda: pipelines.unigram(corpus * 8, r.choice([normalizers.NFKC(), normalizers.Nmt()]), r.choice(["always", "first"]), r.random() < 0.5),
        "wordpiece": lambda: pipelines.words(corpus, pipelines.models.WordPiece(unk_token="[UNK]"), pipelines.trainers.WordPieceTrainer(
            vocab_size=pipelines.SIZE, special_tokens=pipelines.BERT, limit_alphabet=150, show_progress=False),
            normalizers.BertNormalizer(lowercase=r.random() < 0.5, strip_accents=r.choice([None, True, False])), pre_tokenizers.BertPreTokenizer(), True, pipelines.decoders.WordPiece()),
    }[kind]
    return make()


def template(r):
    """A published conversation form of the training library trl."""
    import trl
    folder = pathlib.Path(trl.__file__).parent / "chat_templates"
    return r.choice(sorted(folder.glob("*.jinja"))).read_text(encoding="utf-8")


def dressed(r, corpus, kind, marks, rows):
    """The tokenizer as a folder wants it; `marks` says which ids the configuration gives to begin, end and padding."""
    data = json.loads(tokenizer(r, corpus, kind).to_str())
    inner = pipelines.Tokenizer.from_str(json.dumps(data))
    # The library calls a token the first where its pipeline puts it in front of a text.
    front = [part["SpecialToken"]["id"] for part in (data["post_processor"] or {}).get("single", [])[:1] if "SpecialToken" in part]
    names = {key.removesuffix("_id"): inner.id_to_token(value) for key, value in marks.items() if key.endswith("token_id") and value < 3}
    if front and "bos_token" in names:
        names["bos_token"] = front[0]
    return PreTrainedTokenizerFast(tokenizer_object=inner, chat_template=template(r) if rows else None, **names)
