#!/usr/bin/env python3
"""Makes tests/fixtures/tiny_llama and tests/golden/model_*.json with transformers and peft.

usage: make_model_goldens.py tiny
       make_model_goldens.py starter FILE.gguf
"""
import json
import math
import pathlib
import sys

import peft
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from pydoc_data.topics import topics
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

ROOT = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__,
            "tokenizers": tokenizers.__version__}
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
torch.set_num_threads(2)


def make_tokenizer(folder):
    corpus = [text for _, text in sorted(topics.items())]
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                 pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tok.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tok.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=640, special_tokens=special,
                                                        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    fast = PreTrainedTokenizerFast(tokenizer_object=tok, bos_token="<|im_start|>", eos_token="<|im_end|>",
                                   pad_token="<|im_end|>", unk_token="<|endoftext|>", chat_template=TEMPLATE,
                                   model_max_length=512, additional_special_tokens=special[1:])
    fast.save_pretrained(folder)
    return fast


def logprobs(model, ids):
    with torch.no_grad():
        logits = model(torch.tensor([ids])).logits[0].double()
    return torch.log_softmax(logits[:-1], -1).gather(1, torch.tensor(ids[1:])[:, None])[:, 0].tolist()


def greedy(model, ids, new):
    out = list(ids)
    with torch.no_grad():
        for _ in range(new):
            out.append(int(model(torch.tensor([out])).logits[0, -1].argmax()))
    return out[len(ids):]


def ramp(shape, scale):
    """A start that any language can make: exact in float32."""
    n = math.prod(shape)
    k = torch.arange(n, dtype=torch.int64)
    return (((k * 7919) % 1000).float() / 1000 - 0.5).mul(scale).reshape(shape)


def curve(model, batches, lr, wd):
    """Ten AdamW steps with clipping at 1; the loss is the mean over the taught tokens of the step."""
    params = [p for p in model.parameters() if p.requires_grad]
    opt = torch.optim.AdamW(params, lr=lr, betas=(0.9, 0.999), eps=1e-8, weight_decay=wd)
    losses, norms = [], []
    for rows in batches:
        width = max(len(r["ids"]) for r in rows)
        ids = torch.zeros(len(rows), width, dtype=torch.long)
        mask = torch.zeros_like(ids)
        labels = torch.full_like(ids, -100)
        for i, r in enumerate(rows):
            n = len(r["ids"])
            ids[i, :n] = torch.tensor(r["ids"])
            mask[i, :n] = 1
            t = torch.tensor(r["trained"], dtype=torch.bool)
            labels[i, :n][t] = ids[i, :n][t]
        labels[:, 0] = -100
        logits = model(input_ids=ids, attention_mask=mask).logits
        flat, target = logits[:, :-1].reshape(-1, logits.size(-1)), labels[:, 1:].reshape(-1)
        loss = torch.nn.functional.cross_entropy(flat, target, ignore_index=-100, reduction="sum") / (target != -100).sum()
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(params, 1.0)))
        opt.step()
        opt.zero_grad()
        losses.append(float(loss))
    return {"losses": losses, "gradNorms": norms}


def lora(model, rank, alpha):
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=TARGETS,
                                                         bias="none", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, p in wrapped.named_parameters():
            if "lora_A" in name:
                p.copy_(ramp(tuple(p.shape), 0.2))
    return wrapped


def chat_rows(tokenizer, pairs):
    rows = []
    for question, answer in pairs:
        ask = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(ask, add_generation_prompt=True, tokenize=False)
        ids = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        reply = tokenizer(answer + tokenizer.eos_token, add_special_tokens=False)["input_ids"]
        rows.append({"ids": ids + reply, "trained": [0] * len(ids) + [1] * len(reply)})
    return rows


def sample_pairs(n):
    """Texts that come with Python: a passage as the question, its title as the answer."""
    pairs = []
    for name, text in sorted(topics.items()):
        lines = [line for line in text.split("\n") if line.strip()]
        passage = " ".join(" ".join(lines[2:9]).split())
        if len(passage) > 120:
            pairs.append((passage[:90 + 11 * (len(pairs) % 12)], lines[0]))
    assert len(pairs) >= n
    return pairs[:n]


def tiny():
    folder = ROOT / "fixtures/tiny_llama"
    folder.mkdir(parents=True, exist_ok=True)
    tok = make_tokenizer(folder)
    torch.manual_seed(7)
    config = LlamaConfig(vocab_size=len(tok), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
                         num_key_value_heads=2, max_position_embeddings=512, rms_norm_eps=1e-5, rope_theta=10000.0,
                         tie_word_embeddings=True, bos_token_id=tok.bos_token_id, eos_token_id=tok.eos_token_id,
                         pad_token_id=tok.pad_token_id, initializer_range=0.15)
    model = LlamaForCausalLM(config).float().eval()
    for norm in [m for n, m in model.named_modules() if n.endswith("norm")]:
        norm.weight.data.add_(torch.randn_like(norm.weight) * 0.1)
    model.save_pretrained(folder)
    rows = chat_rows(tok, sample_pairs(40))
    ids = rows[0]["ids"][:48]
    double = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64).eval()
    with torch.no_grad():
        logits = double(torch.tensor([ids])).logits[0]
    golden = {"versions": VERSIONS, "script": "tests/oracles/make_model_goldens.py tiny", "ids": ids,
              "lastLogits": logits[-1].tolist(), "logprobs": logprobs(double, ids), "greedy": greedy(model, ids, 24)}
    double.zero_grad()
    out = double(torch.tensor([ids]), labels=torch.tensor([ids]))
    out.loss.backward()
    golden["lossAll"] = float(out.loss.detach())
    golden["gradients"] = {n: {"norm": float(p.grad.norm()), "first": p.grad.flatten()[:4].tolist()}
                           for n, p in double.named_parameters()}
    batches = [rows[4 * i:4 * i + 4] for i in range(10)]
    golden["batches"] = batches
    golden["lora"] = {"rank": 4, "alpha": 8, "lr": 5e-3, "weightDecay": 0.0,
                      **curve(lora(LlamaForCausalLM.from_pretrained(folder).float(), 4, 8), batches, 5e-3, 0.0)}
    golden["full"] = {"lr": 1e-3, "weightDecay": 0.0, **curve(LlamaForCausalLM.from_pretrained(folder).float(), batches, 1e-3, 0.0)}
    json.dump(golden, open(ROOT / "golden/model_tiny.json", "w"))


def starter(gguf):
    path = pathlib.Path(gguf)
    load = lambda: AutoModelForCausalLM.from_pretrained(path.parent, gguf_file=path.name, dtype=torch.float32)
    model = load().eval()
    reference = transformers.AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    # The GGUF reader loses the "smollm" pre-tokenizer, which splits single digits: put it back.
    reference.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    golden = {"versions": VERSIONS, "script": "tests/oracles/make_model_goldens.py starter", "prompts": []}
    for text in ["What is the capital of France?", "Summarise: gcc 12.2 is a compiler for C.", "Schreibe einen Satz über 東京 🙂."]:
        rendered = reference.apply_chat_template([{"role": "user", "content": text}], add_generation_prompt=True, tokenize=False)
        ids = reference(rendered, add_special_tokens=False)["input_ids"]
        golden["prompts"].append({"text": text, "rendered": rendered, "ids": ids, "greedy": greedy(model, ids, 24)})
    text = "The 3 quick brown foxes jump over 12345 lazy dogs; Ångström said \"naïve\" twice.\n\n    return x + 1"
    ids = reference(text, add_special_tokens=False)["input_ids"]
    golden["score"] = {"text": text, "ids": ids, "logprobs": logprobs(model, ids)}
    rows = chat_rows(reference, sample_pairs(40))
    batches = [rows[4 * i:4 * i + 4] for i in range(10)]
    golden["batches"] = batches
    golden["lora"] = {"rank": 8, "alpha": 16, "lr": 2e-4, "weightDecay": 0.0, **curve(lora(load(), 8, 16), batches, 2e-4, 0.0)}
    golden["full"] = {"lr": 2e-5, "weightDecay": 0.0, **curve(load(), batches, 2e-5, 0.0)}
    json.dump(golden, open(ROOT / "golden/model_starter.json", "w"), ensure_ascii=False)


if __name__ == "__main__":
    {"tiny": tiny, "starter": lambda: starter(sys.argv[2])}[sys.argv[1]]()
