"""One tokenizer for each kind of published pipeline, trained on the lines of a corpus so that it knows its
languages. Used by compare_corpus.py and bench_tokenizers.py."""

import base64
import collections
import io
import json
import pathlib

import sentencepiece

from protobuf_fields import fields
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
GPT4O = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"])
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
BERT = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
SIZE = 12000


def byte_level(lines, pre, normalizer=None, post=None, prefix=False, **model):
    tokenizer = Tokenizer(models.BPE(**model))
    parts = [pre_tokenizers.Split(Regex(pattern), "isolated") for pattern in pre]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts + [pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=not parts)])
    if normalizer:
        tokenizer.normalizer = normalizer
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=SIZE, special_tokens=CHAT, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    tokenizer.decoder = decoders.ByteLevel()
    if post:
        tokenizer.post_processor = post
    return tokenizer


def pieces_bpe(lines, normalizer, pre=None):
    """BPE over characters with bytes to fall back on: the pipelines of Mistral and Gemma. Trained on words, which is fast."""
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    words.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=SIZE, limit_alphabet=1500, show_progress=False))
    model = json.loads(words.to_str())["model"]
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    vocab = {token: i for i, token in enumerate(first)}
    for token in sorted(model["vocab"], key=model["vocab"].get):
        vocab.setdefault(token, len(vocab))
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=[tuple(pair) for pair in model["merges"]], unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizer
    if pre:
        tokenizer.pre_tokenizer = pre
    tokenizer.add_special_tokens([AddedToken(token, normalized=False) for token in first[:3]])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def unigram(lines, normalizer, scheme, fallback=False, charsmap=None):
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    counts = collections.Counter(character for line in lines for character in line)
    lines = [line for line in lines if all(counts[character] >= 40 for character in line)]
    special = ["<pad>", "</s>", "<unk>"] + ([f"<0x{byte:02X}>" for byte in range(256)] if fallback else [])
    tokenizer.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=8000, special_tokens=special, unk_token="<unk>", show_progress=False))
    data = json.loads(tokenizer.to_str())
    data["model"]["byte_fallback"] = fallback
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    if charsmap:
        data["normalizer"] = {"type": "Sequence", "normalizers": [{"type": "Precompiled", "precompiled_charsmap": charsmap}, {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]}
    tokenizer = Tokenizer.from_str(json.dumps(data))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace(prepend_scheme=scheme)]) if fallback else decoders.Metaspace(prepend_scheme=scheme)
    return tokenizer


def words(lines, model, trainer, normalizer, pre, post=None, decoder=None):
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizer
    tokenizer.pre_tokenizer = pre
    tokenizer.train_from_iterator(lines, trainer)
    if post:
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", tokenizer.token_to_id("[SEP]")), ("[CLS]", tokenizer.token_to_id("[CLS]")))
    if decoder:
        tokenizer.decoder = decoder
    return tokenizer


def sentencepiece_charsmap():
    """The table nmt_nfkc of sentencepiece, out of a model made with it."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g"] * 9), model_writer=model, vocab_size=12,
                                             normalization_rule_name="nmt_nfkc", minloglevel=2)
    normalizer = next(value for number, value in fields(model.getvalue()) if number == 3)
    charsmap = next(value for number, value in fields(normalizer) if number == 2)
    assert len(charsmap) > 100_000, "the model has no table"
    return base64.b64encode(charsmap).decode()


def starter(path):
    """The real vocabulary of the starter model, from its GGUF file."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    tokens, types, merges = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "token_type", "merges"))
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[tuple(merge.split(" ")) for merge in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token, kind in zip(tokens, types) if kind == 3])
    return tokenizer


def makers(lines, gguf=None):
    """Name to a function that makes the tokenizer."""
    trim = processors.ByteLevel(trim_offsets=True, add_prefix_space=False)
    lower = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()])
    wordpiece = lambda: trainers.WordPieceTrainer(vocab_size=SIZE, special_tokens=BERT, limit_alphabet=2000, show_progress=False)
    bert = lambda **options: words(lines, models.WordPiece(unk_token="[UNK]"), wordpiece(), normalizers.BertNormalizer(**options), pre_tokenizers.BertPreTokenizer(), True, decoders.WordPiece())
    out = {
        "gpt2": lambda: byte_level(lines, [], post=trim),
        "roberta": lambda: byte_level(lines, [], post=processors.RobertaProcessing(("<|im_end|>", 2), ("<|endoftext|>", 0), trim_offsets=True, add_prefix_space=True), prefix=True),
        "llama3": lambda: byte_level(lines, [LLAMA3], post=processors.TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]), ignore_merges=True),
        "qwen": lambda: byte_level(lines, [QWEN], normalizers.NFC(), trim),
        "qwen35": lambda: byte_level(lines, [QWEN35], normalizers.NFC(), trim),
        "gpt4o": lambda: byte_level(lines, [GPT4O], post=trim),
        "deepseek": lambda: byte_level(lines, DEEPSEEK, post=trim),
        "nfkc_bpe": lambda: byte_level(lines, [], normalizers.Sequence([normalizers.NFKC(), normalizers.Strip(), normalizers.Nmt()])),
        "nfd_bpe": lambda: byte_level(lines, [], normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])),
        "mistral": lambda: pieces_bpe(lines, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])),
        "gemma": lambda: pieces_bpe(lines, normalizers.Replace(" ", "▁"), pre_tokenizers.Split(" ", "merged_with_previous")),
        "t5": lambda: unigram(lines, normalizers.NFKC(), "always", charsmap=sentencepiece_charsmap()),
        "unigram_bytes": lambda: unigram(lines, normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")]), "first", True),
        "bert": lambda: bert(lowercase=True),
        "bert_cased": lambda: bert(lowercase=False),
        "wordlevel": lambda: words(lines, models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=30000, special_tokens=BERT, show_progress=False), lower, pre_tokenizers.Whitespace(), True),
        "scripts": lambda: words(lines, models.WordPiece(unk_token="[UNK]"), wordpiece(), normalizers.NFC(), pre_tokenizers.Sequence([
            pre_tokenizers.UnicodeScripts(), pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(individual_digits=True)]), True),
    }
    if gguf:
        out["starter"] = lambda: starter(gguf)
    return out


def load_or_make(name, make, folder):
    """The tokenizer of a folder, made first when it is not there."""
    path = pathlib.Path(folder) / name / "tokenizer.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        make().save(str(path))
    return Tokenizer.from_file(str(path))
