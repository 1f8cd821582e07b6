#!/usr/bin/env python3
"""Exports a tuned run in every form that transformers and peft open, and compares them with `fettle-cli score`.

usage: check_exports.py CLI WORKSPACE RUN BASE TEXT-FILE

RUN is a run with an add-on, BASE the folder of its model. Each export is proven by its own card first. The GGUF add-on is
for llama.cpp: check_gguf_lora.py. Exit code 1 when a log-probability differs by more than what the type of number allows.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import peft
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

cli, workspace, run, base, text_file = sys.argv[1:6]
# form, type of number, further arguments, largest difference of a log-probability
FORMS = [("peft", "", [], 1e-4), ("merged", "F32", [], 1e-4), ("merged", "F32", ["--shard-size", "200MB"], 1e-4),
         ("merged", "BF16", [], 0.5), ("merged", "F16", ["--shard-size", "100MB"], 0.05), ("gguf", "F32", [], 1e-4), ("gguf", "Q8_0", [], 0.5)]


def command(*arguments):
    done = subprocess.run([cli, "--workspace", workspace, "--json", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit((done.stderr + done.stdout)[-500:])
    return done.stdout


def opened(form, folder):
    if form == "peft":
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        return peft.PeftModel.from_pretrained(model, folder)
    more = {"gguf_file": f"{folder.name}.gguf"} if form == "gguf" else {}
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **more)


def main():
    text = pathlib.Path(text_file).read_text(encoding="utf-8")
    ours = torch.tensor(json.loads(command("score", run, "--file", text_file))["tokens"], dtype=torch.float64)
    ids = torch.tensor([PreTrainedTokenizerFast.from_pretrained(base)(text, add_special_tokens=False)["input_ids"]])
    bad = 0
    for number, (form, kind, more, limit) in enumerate(FORMS):
        folder = pathlib.Path(tempfile.mkdtemp()) / f"export{number}"
        command("export", run, "--as", form, "--to", folder, *(["--type", kind] if kind else []), *more)
        command("export", "verify", folder)
        model = opened(form, folder).eval()
        with torch.no_grad():
            logp = torch.log_softmax(model(ids).logits[0].double(), -1)
        theirs = logp[:-1].gather(1, ids[0, 1:, None])[:, 0]
        off = float((theirs - ours).abs().max()) if len(theirs) == len(ours) else float("inf")
        files = sum(f.name.endswith((".safetensors", ".gguf")) for f in folder.iterdir())
        bad += not off <= limit
        print(f"{form} {kind} in {files} file(s): {len(theirs)} tokens, largest difference of a log-probability {off:.2g}"
              f"{'' if off <= limit else '   WRONG'}", flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
