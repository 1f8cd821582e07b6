#!/usr/bin/env python3
"""Makes tests/fixtures/families/NAME (a random tiny checkpoint) and tests/golden/families_encoders.json with
transformers: encoders (states, pooled states, masked-language logits) and encoder-decoders (logits on targets, greedy
answers), each for two texts as padded batches, with gradients of a loss.

usage: make_encoder_goldens.py [NAME ..]
"""
import json
import pathlib
import shutil
import sys

import safetensors.torch
import torch
import transformers

from golden_help import fill, probes

ROOT = pathlib.Path(__file__).resolve().parent.parent
torch.set_num_threads(2)
BERT = dict(vocab_size=48, hidden_size=16, intermediate_size=24, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=40, pad_token_id=0)
ROBERTA = dict(BERT, pad_token_id=1, type_vocab_size=1, layer_norm_eps=1e-5, bos_token_id=0, eos_token_id=2)
DISTIL = dict(vocab_size=48, dim=16, hidden_dim=24, n_layers=2, n_heads=4, max_position_embeddings=40, pad_token_id=0)
T5 = dict(vocab_size=48, d_model=16, d_kv=3, d_ff=24, num_layers=2, num_decoder_layers=3, num_heads=4,
          relative_attention_num_buckets=8, relative_attention_max_distance=20, pad_token_id=0, eos_token_id=1,
          decoder_start_token_id=0)
LONG = dict(T5, num_decoder_layers=2, local_radius=3, global_block_size=4)
FIRST = [5, 9, 31, 8, 40, 11, 7, 23, 46, 3, 19, 12, 27, 33, 6, 14, 29, 41, 10, 22, 35, 2, 18, 44, 13, 37, 25, 30, 16, 1]
SECOND = [17, 4, 44, 21, 38, 10, 26, 15, 1]
TYPES = [0] * 11 + [1] * 19
TARGETS = [[24, 7, 39, 12, 20, 33, 1], [28, 9, 45, 1]]
MASKED = [2, 8, 15, 21, 28]  # places with a label

# name: model class, configuration class, arguments
ENCODERS = {
    "bert": ("BertForPreTraining", "BertConfig", dict(BERT)),
    "bert_old": ("BertModel", "BertConfig", dict(BERT, num_hidden_layers=1)),
    "bert_untied": ("BertForMaskedLM", "BertConfig", dict(BERT, tie_word_embeddings=False, hidden_act="gelu_new",
                                                          num_hidden_layers=1)),
    "roberta": ("RobertaForMaskedLM", "RobertaConfig", dict(ROBERTA, hidden_act="relu")),
    "xlm_roberta": ("XLMRobertaForSequenceClassification", "XLMRobertaConfig", dict(ROBERTA, num_hidden_layers=1)),
    "camembert": ("CamembertModel", "CamembertConfig", dict(ROBERTA, num_hidden_layers=1)),
    "distilbert": ("DistilBertForMaskedLM", "DistilBertConfig", dict(DISTIL)),
    "distilbert_classifier": ("DistilBertForSequenceClassification", "DistilBertConfig", dict(DISTIL, n_layers=1)),
}
WRITERS = {
    "t5": ("T5ForConditionalGeneration", "T5Config", dict(T5)),
    "t5_gated": ("T5ForConditionalGeneration", "T5Config", dict(T5, num_decoder_layers=None,
                                                                feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "mt5": ("MT5ForConditionalGeneration", "MT5Config", dict(T5, num_layers=1, num_decoder_layers=1)),
    "umt5": ("UMT5ForConditionalGeneration", "UMT5Config", dict(T5, num_decoder_layers=2)),
    "longt5_local": ("LongT5ForConditionalGeneration", "LongT5Config", dict(LONG, encoder_attention_type="local",
                                                                            feed_forward_proj="gated-gelu")),
    "longt5_global": ("LongT5ForConditionalGeneration", "LongT5Config", dict(LONG, encoder_attention_type="transient-global")),
}


def gradients(model, prefix):
    """By the names of published files: what is tied counts as the embedding table."""
    names = {}
    for name, value in model.named_parameters(remove_duplicate=False):
        if id(value) not in names or "embeddings" in name:
            names[id(value)] = name
    named = sorted((names[id(v)], v) for v in model.parameters())
    return {(prefix + n if prefix and not n.startswith(prefix) else n): probes(v.grad) for n, v in named if v.grad is not None}


def short(values, digits=8):
    return [float(f"{v:.{digits}g}") for v in values.detach().double().flatten().tolist()]


def rows(values, which):
    return {str(i): short(values[i]) for i in which}


def padded(texts, pad, left=False):
    n = max(map(len, texts))
    fillers = [[pad] * (n - len(t)) for t in texts]
    ids = torch.tensor([f + t if left else t + f for t, f in zip(texts, fillers)])
    ones = [[1] * len(t) for t in texts]
    zeros = [[0] * len(f) for f in fillers]
    return ids, torch.tensor([z + o if left else o + z for o, z in zip(ones, zeros)])


def change_files(folder, arguments):
    """Makes the forms that other versions of the library wrote."""
    name = folder.name
    path, config_path = folder / "model.safetensors", folder / "config.json"
    weights, config = safetensors.torch.load_file(path), json.loads(config_path.read_text())
    if name == "bert_old":
        rename = lambda n: n.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        weights = {rename(n): v for n, v in weights.items()}
        weights["embeddings.position_ids"] = torch.arange(40).unsqueeze(0)
    if name == "mt5" or "d_kv" in arguments and arguments.get("tie_word_embeddings") is False:  # as in published files
        generator = torch.Generator().manual_seed(5)
        weights["lm_head.weight"] = torch.randn((config["vocab_size"], config["d_model"]), generator=generator) * 0.25
        config["tie_word_embeddings"] = False
        config.pop("scale_decoder_outputs", None)
    if name == "t5":
        weights["decoder.embed_tokens.weight"] = weights.pop("shared.weight")
        weights["decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"] = torch.ones(8, 4)
    safetensors.torch.save_file({n: v.contiguous() for n, v in weights.items()}, path, metadata={"format": "pt"})
    config_path.write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


def checkpoint(folder, kind, config, arguments, seed):
    torch.manual_seed(3)
    model = getattr(transformers, kind)._from_config(getattr(transformers, config)(**arguments), attn_implementation="eager").eval()
    fill(model, seed)
    model.tie_weights()
    shutil.rmtree(folder, ignore_errors=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)

    def load(dtype):
        return getattr(transformers, kind).from_pretrained(folder, attn_implementation="eager", dtype=dtype).eval()

    if folder.name == "bert_old":  # newer readers know the old names no more
        model, wide = load(torch.float32), load(torch.float64)
        change_files(folder, arguments)
        return model, wide
    change_files(folder, arguments)
    return load(torch.float32), load(torch.float64)


def encode(model, ids, mask, types):
    """Last states, pooled states and masked-language logits; None where the model has none."""
    base = getattr(model, model.base_model_prefix, model)
    arguments = {} if types is None else {"token_type_ids": types}
    if model.config.model_type == "bert":  # others find the places themselves, or are not padded at the left
        arguments["position_ids"] = (mask.cumsum(-1) - 1).clamp(min=0)
    out = base(ids, attention_mask=mask, **arguments)
    states = out.last_hidden_state
    pooled = getattr(out, "pooler_output", None)
    logits = None
    if hasattr(model, "cls"):
        logits = model.cls.predictions(states) if hasattr(model.cls, "predictions") else None
    elif hasattr(model, "lm_head"):
        logits = model.lm_head(states)
    elif hasattr(model, "vocab_projector"):
        logits = model.vocab_projector(model.vocab_layer_norm(model.activation(model.vocab_transform(states))))
    return states, pooled, logits


def make_encoder(folder, kind, config, arguments, seed=11, first=FIRST, second=SECOND):
    model, wide = checkpoint(folder, kind, config, arguments, seed)
    pad, typed = model.config.pad_token_id, getattr(model.config, "type_vocab_size", 1) > 1
    texts = [[t if t != pad else 47 for t in text] for text in (first, second)]
    ids, mask = padded(texts, pad)
    types = torch.tensor([TYPES, [0] * len(first)]) if typed else None
    states, pooled, logits = encode(model, ids, mask, types)
    result = {"first": texts[0], "second": texts[1], "states": rows(states[0], (0, 12, 29)),
              "secondStates": rows(states[1], (0, 8)), "secondMean": short(states[1, :len(second)].mean(0))}
    if model.config.model_type != "distilbert":
        ids_left, mask_left = padded(texts, pad, left=True)
        left = encode(model, ids_left, mask_left, None if types is None else types)[0][1, -len(second):]
        result["leftStates"] = rows(left, (0, 8))
        print("  left against right:", float((left - states[1, :len(second)]).abs().max().detach()), file=sys.stderr)
    labels = torch.tensor([texts[0][(i + 3) % 30] for i in MASKED])
    pattern = torch.cos(torch.arange(states.size(-1)) * 0.9)
    loss = (states[0] * pattern).mean()
    if pooled is not None:
        result["pooled"] = [short(row) for row in pooled]
        loss = loss + (pooled[0] * pattern).sum()
    if logits is not None:
        result["logits"] = rows(logits[0], MASKED[:2])
        loss = loss + torch.nn.functional.cross_entropy(logits[0, MASKED], labels)
    loss.backward()
    prefix = {"bert": "bert.", "distilbert": "distilbert."}.get(model.config.model_type, "roberta.")
    bare = model.base_model_prefix != prefix[:-1] or model.base_model is model
    result.update(labels=labels.tolist(), loss=float(loss.detach()), gradients=gradients(model, prefix if bare else ""))
    with torch.no_grad():
        states, pooled, logits = encode(wide, ids[:1], mask[:1], None if types is None else types[:1])
    result["statesWide"] = short(states[0, 29], 15)
    return result


def greedy(model, ids, count, cached):
    out, cache, memory = [model.config.decoder_start_token_id], None, model.get_encoder()(ids)
    with torch.no_grad():
        for _ in range(count):
            answer = model(encoder_outputs=memory, decoder_input_ids=torch.tensor([out[-1:] if cache else out]),
                           past_key_values=cache, use_cache=cached)
            cache = answer.past_key_values if cached else None
            out.append(int(answer.logits[0, -1].argmax()))
    return out[1:]


def make_writer(folder, kind, config, arguments, seed=11, first=FIRST, second=SECOND):
    model, wide = checkpoint(folder, kind, config, arguments, seed)
    ids, mask = padded([first, second], 0)
    labels = padded(TARGETS, -100)[0]
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    result = {"first": first, "second": second, "targets": TARGETS, "logits": rows(out.logits[0], (0, 3, 6)),
              "secondLogits": rows(out.logits[1], (0, 3)), "states": rows(out.encoder_last_hidden_state[0], (0, 17, 29)),
              "loss": float(out.loss.detach()), "gradients": gradients(model, "")}
    if arguments.get("encoder_attention_type") != "transient-global":  # whose blocks begin at the padding
        ids_left, mask_left = padded([first, second], 0, left=True)
        left = model(input_ids=ids_left, attention_mask=mask_left, labels=labels).logits[1]
        result["leftLogits"] = rows(left, (0, 3))
    result["greedy"] = [greedy(model, torch.tensor([text]), 8, cached=True) for text in (first, second)]
    assert result["greedy"] == [greedy(model, torch.tensor([text]), 8, cached=False) for text in (first, second)]
    with torch.no_grad():
        result["logitsWide"] = short(wide(input_ids=ids[:1], labels=labels[:1]).logits[0, 6], 15)
    return result


def write(target, encoders, writers):
    def body(part):
        return ",\n".join(f'{json.dumps(k)}: {json.dumps(v)}' for k, v in part.items())

    target.write_text('{"versions": ' + json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
                      + f',\n"types": {TYPES}, "masked": {MASKED},\n"encoders": {{\n{body(encoders)}\n}},\n'
                      + f'"writers": {{\n{body(writers)}\n}}}}\n')


def main():
    target = ROOT / "golden/families_encoders.json"
    known = json.loads(target.read_text()) if target.exists() else {"encoders": {}, "writers": {}}
    for case in sys.argv[1:] or [*ENCODERS, *WRITERS]:
        part, cases, make = ("encoders", ENCODERS, make_encoder) if case in ENCODERS else ("writers", WRITERS, make_writer)
        folder = ROOT / "fixtures/families" / case
        known[part][case] = make(folder, *cases[case])
        size = sum(f.stat().st_size for f in folder.iterdir())
        print(f"{case}: {size} bytes, loss {known[part][case]['loss']:.4f}", file=sys.stderr)
    write(target, *({k: known[part][k] for k in cases if k in known[part]} for part, cases in (("encoders", ENCODERS), ("writers", WRITERS))))


if __name__ == "__main__":
    main()
