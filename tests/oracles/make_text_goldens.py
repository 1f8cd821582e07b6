"""Makes the golden files of core/text with the Python packages: token ids (tokenizers, sentencepiece),
rendered chat templates (jinja2 set up as transformers does), masks of answers.

Run: python tests/oracles/make_text_goldens.py [starter.gguf]
With the starter model's GGUF file the goldens of its full vocabulary are made too.
"""

import base64
import io
import json
import pathlib
import sys
import tempfile

import jinja2
import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from transformers.utils import chat_template_utils

import template_goldens
from protobuf_fields import fields
from template_messages import CONVERSATIONS
from text_templates import BLOCKS, SNIPPETS, TEMPLATES

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
VERSIONS = {
    "tokenizers": tokenizers.__version__,
    "sentencepiece": sentencepiece.__version__,
    "jinja2": jinja2.__version__,
    "python": sys.version.split()[0],
}

TEXTS = [
    "", " ", "a", "Hello world", "Hello, world!", " 3333  x", "I'LL  go\n\nÅngström 東京 🙂",
    "I'll, we've, they're, it's, he'd, I'm, don't 'twas 'S 'LL",
    "The quick brown fox jumps over the lazy dog. 1234567890 and 3.14159 or 1,000,000.",
    "Der schnelle braune Fuchs springt über den faulen Hund; Straße, Größe, Äpfel.",
    "Le cœur déçu mais l'âme plutôt naïve, Louÿs rêva de crapaüter en canoë.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "素早い茶色の狐がのろまな犬を飛び越える。漢字とカタカナ、ひらがな。",
    "빠른 갈색 여우가 게으른 개를 뛰어넘는다.", "نص حكيم له سر قاطع وذو شأن عظيم ٠١٢٣٤٥", "ऋषियों को सताने वाले दुष्ट राक्षसों", "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪 ☺️", "e\u0301 o\u0308 A\u030a n\u0303 \u1e9b\u0323 \u212b \ufb01 \u00bd \u2163 ①",
    "tab\tnewline\ncarriage\r\nvertical\x0bform\x0c", "   leading", "trailing   ", "a  b   c    d     e", "\n\n\n\nx\n \n  \n",
    "\u00a0nbsp\u2003em\u3000ideographic\u200bzero\u180emongolian\u2028line\u2029par", "NUL\x00 and \x01\x02\x1b[0m\x7f control",
    "def f(x):\n    return x**2  # square\n\tif (a != b) && c[0] == '\"': pass\n", "https://example.org/path?q=1&r=%20#frag user@host",
    "<|im_start|>user\nhi<|im_end|>\n<|endoftext|>", "pre<|im_end|>post <|im_end |> <|im_end", "[MASK] x[MASK]y  [MASK]  z <sep> <sep>a", "wordkeep keepword keep, KEEP keep",
    "a" * 300, "9" * 40, " " * 100 + "x", "ab" * 200, "é" * 100, "!?" * 60, "\U00010d41 \u1c8a \U00013460x",
]
INVALID = [b"ok \xff\xfe bad", b"\xc3", b"caf\xc3\xa9 \xe2\x82 \xf0\x9f\x98", b"\xed\xa0\x80 surrogate \xc0\x80 overlong", b"a\x80\x80b"]

CONTEXT = {
    "d": {"a": 1, "b": {"c": "x", "d": [7, 8]}},
    "l": [1, 2, 3],
    "s": "Hello, World",
    "u": "äÖ漢é🙂ß",
    "objs": [{"name": "p", "n": 3, "g": None, "sub": {"x": 1}}, {"name": "q", "n": 1, "g": "h", "sub": {"x": 2}},
             {"name": "r", "n": 2, "g": None, "sub": {"x": 3}}],
}


def corpus():
    license_text = pathlib.Path("/usr/share/common-licenses/GPL-3").read_text()
    return [license_text] + [text for text in TEXTS if "<|" not in text and "[MASK]" not in text] * 20


def train(model, size, trainer_options=None, pre=None, normalizer=None, special=()):
    tokenizer = Tokenizer(model)
    if pre is not None:
        tokenizer.pre_tokenizer = pre
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, special_tokens=list(special), **(trainer_options or {}))
    tokenizer.train_from_iterator(corpus(), trainer)
    return tokenizer


ALPHABET = {"initial_alphabet": pre_tokenizers.ByteLevel.alphabet()}
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def small_tokenizer():
    """The committed tokenizer of the tests: SmolLM2's pipeline, 1,800 tokens."""
    pre = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer = train(models.BPE(), 1800, ALPHABET, pre, special=SPECIAL)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def variants():
    """Other pipelines, one per family of published tokenizers or per part."""
    out = {}
    size = 340
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)

    gpt2 = train(models.BPE(), size, ALPHABET, pre_tokenizers.ByteLevel(add_prefix_space=True), special=SPECIAL)
    gpt2.decoder = decoders.ByteLevel()
    out["gpt2 with prefix space"] = gpt2

    llama3_pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    llama3 = train(models.BPE(ignore_merges=True), size, ALPHABET, llama3_pre, special=SPECIAL)
    llama3.decoder = decoders.ByteLevel()
    llama3.post_processor = processors.TemplateProcessing(
        single="<|endoftext|> $A <|im_end|>", pair="<|endoftext|> $A $B", special_tokens=[("<|endoftext|>", 0), ("<|im_end|>", 2)])
    out["llama-3"] = llama3

    qwen = train(models.BPE(), size, ALPHABET, llama3_pre, normalizers.NFC(), SPECIAL)
    qwen.decoder = decoders.ByteLevel()
    out["qwen with NFC"] = qwen

    deepseek_pre = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("[\r\n]"), "isolated"), pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "isolated"), pre_tokenizers.Split(Regex("[一-龥ࠀ-一가-\ud7ff]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    deepseek = train(models.BPE(), size, ALPHABET, deepseek_pre, special=SPECIAL)
    deepseek.decoder = decoders.ByteLevel()
    out["deepseek-coder"] = deepseek

    byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
    mistral = train(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True), size + 280,
                    {"limit_alphabet": 120}, normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]),
                    special=["<unk>", "<s>", "</s>"] + byte_tokens)
    data = json.loads(mistral.to_str())
    data["added_tokens"] = [token for token in data["added_tokens"] if not token["content"].startswith("<0x")]
    mistral = Tokenizer.from_str(json.dumps(data))
    mistral.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    out["mistral with byte fallback"] = mistral

    for fuse in (False, True):
        unk = train(models.BPE(unk_token="<unk>", fuse_unk=fuse), size, {"limit_alphabet": 60}, pre_tokenizers.Metaspace(prepend_scheme="always"), special=["<unk>"])
        unk.decoder = decoders.Metaspace(prepend_scheme="always")
        out[f"metaspace, fuse_unk {fuse}"] = unk
    first = train(models.BPE(unk_token="<unk>"), size, {"limit_alphabet": 60}, pre_tokenizers.Metaspace(prepend_scheme="first", split=False), special=["<unk>", "<|im_end|>"])
    first.decoder = decoders.Metaspace(prepend_scheme="first")
    out["metaspace first"] = first
    never = train(models.BPE(), size, {"limit_alphabet": 60}, pre_tokenizers.Metaspace(prepend_scheme="never"))
    out["metaspace never, no decoder"] = never

    for name, normalizer in {
        "NFKC": normalizers.NFKC(), "NFD and lower case": normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()]),
        "NFKD and replaced patterns": normalizers.Sequence([normalizers.NFKD(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Replace("th", "TH"), normalizers.Prepend("_")]),
    }.items():
        tokenizer = train(models.BPE(), size, ALPHABET, byte_level, normalizer, SPECIAL)
        tokenizer.decoder = decoders.ByteLevel()
        out[name] = tokenizer

    for behavior in ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"):
        for invert in (False, True):
            pre = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"[aeiou]|\d"), behavior, invert), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
            tokenizer = train(models.BPE(), 300, ALPHABET, pre)
            tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace(Regex("o+"), "0")])
            out[f"split {behavior}, invert {invert}"] = tokenizer
    words = train(models.BPE(), 300, ALPHABET, pre_tokenizers.Sequence([
        pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Split(Regex(r"\w+|\b|[^\w\s]|\S\S"), "isolated"),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    words.decoder = decoders.ByteLevel()
    out["words and runs of digits"] = words

    suffix = train(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"), size,
                   {"limit_alphabet": 60, "continuing_subword_prefix": "##", "end_of_word_suffix": "</w>"}, pre_tokenizers.Split(" ", "removed"), special=["<unk>"])
    out["prefix and suffix"] = suffix

    added = train(models.BPE(), size, ALPHABET, byte_level, normalizers.Lowercase(), SPECIAL)
    added.decoder = decoders.ByteLevel()
    added.add_tokens([AddedToken("[MASK]", lstrip=True, normalized=False), AddedToken("<sep>", rstrip=True, normalized=False, special=True),
                      AddedToken("keep", single_word=True, normalized=True), AddedToken("<|im_end|>post", normalized=False), AddedToken("日本")])
    out["added tokens"] = added
    return out


def charsmap(rules):
    """precompiled_charsmap of a sentencepiece model with these rules (lines "from TAB to" in hexadecimal)."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as table:
        table.write(rules)
        table.flush()
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e f g"] * 9), model_writer=model, vocab_size=12,
                                                 normalization_rule_tsv=table.name, minloglevel=2)

    spec = dict(fields(model.getvalue()))[3]
    return base64.b64encode(dict(fields(spec))[2]).decode()


def model_variants():
    """Models other than BPE, and the parts that their families use."""
    out = {}
    mask = AddedToken("[MASK]", lstrip=True, special=True)
    for lower, strip in ((True, None), (False, None), (False, True)):
        bert = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        bert.normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=strip)
        bert.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        bert.train_from_iterator(corpus(), trainers.WordPieceTrainer(vocab_size=420, limit_alphabet=150, show_progress=False,
                                                                     special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", mask]))
        bert.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
        bert.decoder = decoders.WordPiece()
        out[f"bert, lower {lower}, strip {strip}"] = bert

    rules = "41\t61\n42\t62\nE9\t65\n65 301\t65\nFB01\t66 69\n3000\t20\n1F642\t3A 29\n"
    trainer = dict(vocab_size=330, show_progress=False, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>")
    for fallback in (False, True):
        unigram = Tokenizer(models.Unigram())
        unigram.normalizer = normalizers.Sequence([normalizers.from_charsmap(charsmap(rules)) if hasattr(normalizers, "from_charsmap")
                                                   else normalizers.Precompiled(base64.b64decode(charsmap(rules))),
                                                   normalizers.Strip(), normalizers.Replace(Regex(" {2,}"), " ")])
        unigram.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
        unigram.train_from_iterator(corpus(), trainers.UnigramTrainer(**trainer))
        data = json.loads(unigram.to_str())
        # Characters that few texts hold are taken out, so that unknown ones occur.
        rare = {c for c in "".join(TEXTS) if ord(c) > 0x500}
        data["model"]["vocab"] = [[t, round(v, 6)] for t, v in data["model"]["vocab"] if not rare & set(t)]
        data["model"]["unk_id"] = [t for t, _ in data["model"]["vocab"]].index("<unk>")
        if fallback:
            data["model"]["vocab"] += [[f"<0x{byte:02X}>", -20.0] for byte in range(256)]
            data["model"]["byte_fallback"] = True
        unigram = Tokenizer.from_str(json.dumps(data))
        unigram.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()]) if fallback else decoders.Metaspace()
        unigram.post_processor = processors.TemplateProcessing(single="<s> $A </s>", pair="<s> $A </s> $B", special_tokens=[("<s>", 0), ("</s>", 2)])
        out[f"unigram, byte_fallback {fallback}"] = unigram

    word_parts = {
        "whitespace": pre_tokenizers.Whitespace(), "whitespace split": pre_tokenizers.WhitespaceSplit(),
        "punctuation": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]),
        "punctuation with the next": pre_tokenizers.Punctuation("merged_with_next"), "characters": pre_tokenizers.CharDelimiterSplit("o"),
        "scripts": pre_tokenizers.UnicodeScripts(), "five characters": pre_tokenizers.FixedLength(5)}
    for name, pre in word_parts.items():
        words = Tokenizer(models.WordLevel(unk_token="<unk>"))
        if name == "whitespace":
            words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents()])
        if name == "whitespace split":
            words.normalizer = normalizers.Nmt()
        words.pre_tokenizer = pre
        words.train_from_iterator([t for t in TEXTS for _ in range(2)], trainers.WordLevelTrainer(vocab_size=400, show_progress=False, special_tokens=["<unk>"]))
        out["words by " + name] = words

    suffix = train(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), 340, {"limit_alphabet": 60, "end_of_word_suffix": "</w>"},
                   pre_tokenizers.BertPreTokenizer(), special=["<unk>"])
    suffix.decoder = decoders.BPEDecoder()
    out["clip"] = suffix
    letters = Tokenizer(models.WordLevel({"<pad>": 0, "|": 1, "<unk>": 2, "e": 3, "a": 4, "l": 5, "o": 6, "'": 7, "m": 8, ".": 9}, unk_token="<unk>"))
    letters.normalizer = normalizers.Replace(" ", "|")
    letters.pre_tokenizer = pre_tokenizers.FixedLength(1)
    letters.decoder = decoders.CTC()
    out["ctc"] = letters
    bytes_first = train(models.BPE(), 300, ALPHABET, pre_tokenizers.WhitespaceSplit(), normalizers.ByteLevel(), SPECIAL)
    bytes_first.decoder = decoders.ByteLevel()
    out["byte level as normalizer"] = bytes_first
    return out


def text_entry(raw):
    try:
        return {"text": raw.decode("utf-8")}
    except UnicodeDecodeError:
        return {"hex": raw.hex()}


def encode_cases(tokenizer, texts):
    cases = []
    for raw in texts:
        text = raw.decode("utf-8", "replace")
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        parsed = tokenizer.encode(text, add_special_tokens=False).ids
        case = text_entry(raw) | {"ids": plain, "decoded": tokenizer.decode(plain, skip_special_tokens=False)}
        if parsed != plain:
            case |= {"parsed": parsed, "skipped": tokenizer.decode(parsed, skip_special_tokens=True)}
        around = tokenizer.encode(text, add_special_tokens=True).ids
        if around != parsed:
            case["around"] = around
        cases.append(case)
    return cases


def write(name, data, lines=True):
    path = GOLDEN / name
    if lines:  # one entry a line: small and yet comparable
        body = ",\n".join(json.dumps(key) + ": " + json.dumps(value, ensure_ascii=False) for key, value in data.items())
        path.write_text("{\n" + body + "\n}\n", encoding="utf-8")
    else:
        path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    print(path.name, path.stat().st_size)


def make_tokenizers():
    folder = GOLDEN / "text_small_tokenizer"
    folder.mkdir(exist_ok=True)
    small = small_tokenizer()
    small.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<|im_start|>", "eos_token": {"content": "<|im_end|>"},
        "unk_token": "<|endoftext|>", "model_max_length": 8192, "clean_up_tokenization_spaces": False, "chat_template": TEMPLATES["chatml"],
    }, indent=1) + "\n")
    (folder / "special_tokens_map.json").write_text(json.dumps({"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, indent=1) + "\n")
    texts = [text.encode() for text in TEXTS] + INVALID
    write("text_small_ids.json", {"versions": VERSIONS, "cases": encode_cases(small, texts)})
    made = {"versions": VERSIONS}
    for name, tokenizer in variants().items():
        # Patterns run on PCRE2 10.42 with Unicode 14: letters that are newer are not compared.
        texts = [raw for raw in texts if "\U00010d41" not in raw.decode("utf-8", "replace")]
        short = [raw for raw in texts if len(raw) < 110][::2] if len(made) > 12 else [raw for raw in texts if len(raw) < 110]
        made[name] = {"tokenizer": json.loads(tokenizer.to_str()), "cases": encode_cases(tokenizer, short)}
    write("text_variants.json", made)
    made = {"versions": VERSIONS}
    for name, tokenizer in model_variants().items():
        made[name] = {"tokenizer": json.loads(tokenizer.to_str()), "cases": encode_cases(tokenizer, short)}
    write("text_models.json", made)


def make_sentencepiece():
    for kind in ("bpe", "unigram"):
        model = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line for text in corpus() for line in text.split("\n") if line.strip()), model_writer=model, vocab_size=600, model_type=kind,
            character_coverage=0.98, byte_fallback=True, normalization_rule_name="identity", user_defined_symbols=["<user>"], pad_id=3, minloglevel=2)
        (GOLDEN / f"text_{kind}.model").write_bytes(model.getvalue())
        sp = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
        cases = []
        for text in TEXTS:
            if "\x00" in text:
                continue  # the Python binding and the library disagree on NUL
            if kind == "unigram" and len(set(text)) == 1:
                continue  # equally good cuts, among which the versions choose differently
            ids = sp.encode(text)
            cases.append({"text": text, "ids": ids, "decoded": sp.decode(ids)})
        write(f"text_{kind}_ids.json", {"versions": VERSIONS, "pieces": sp.get_piece_size(), "cases": cases})


def render(source, context):
    try:
        return {"output": chat_template_utils._compile_jinja_template(source).render(**context)}
    except Exception as error:  # the kind of error is ours to choose
        return {"error": type(error).__name__}


def make_templates():
    write("text_chat.json", template_goldens.header() | {"templates": {name: template_goldens.golden_of(source) for name, source in TEMPLATES.items()}})
    snippets = [{"source": source} | render(source, CONTEXT) for source in SNIPPETS + BLOCKS]
    write("text_jinja.json", {"versions": VERSIONS, "now": template_goldens.NOW.isoformat(), "context": CONTEXT, **{str(i): snippet for i, snippet in enumerate(snippets)}})


def make_starter(path):
    """The starter model's real vocabulary. Its GGUF names the pre-tokenizer `smollm`, which readers in
    Python lose: the pipeline is built here from its parts."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    content = lambda key: fields[key].contents()
    tokens, types = content("tokenizer.ggml.tokens"), content("tokenizer.ggml.token_type")
    tokenizer = Tokenizer(models.BPE(vocab={token: i for i, token in enumerate(tokens)}, merges=[tuple(merge.split(" ")) for merge in content("tokenizer.ggml.merges")]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token, kind in zip(tokens, types) if kind == 3])
    texts = [text.encode() for text in TEXTS] + INVALID
    chats = []
    source = content("tokenizer.chat_template")
    for name, messages, _ in CONVERSATIONS:
        if not messages or any(not isinstance(message.get("content"), str) for message in messages):
            continue
        text = template_goldens.render(source, messages, False, {})
        case = {"name": name, "messages": messages, "text": text}
        if name != "typed marks":
            case["ids"] = tokenizer.encode(text, add_special_tokens=False).ids
        chats.append(case)
    write("text_starter.json", {"versions": VERSIONS, "cases": encode_cases(tokenizer, texts), "chats": chats})


if __name__ == "__main__":
    make_tokenizers()
    make_sentencepiece()
    make_templates()
    if len(sys.argv) > 1:
        make_starter(sys.argv[1])
