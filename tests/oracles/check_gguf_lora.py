#!/usr/bin/env python3
"""Checks our GGUF add-ons with llama.cpp itself: tiny random models of every family are tuned for a few steps by
`fettle-cli`, the add-on is written as `gguf-lora` and as `peft`, and libllama with base and add-on is compared with peft;
so is the merged folder in transformers.

usage: check_gguf_lora.py --cli build/test/bin/fettle-cli [--only gemma2,phi3] [--keep FOLDER]
Needs what check_gguf.py needs, and peft. Exit code 77 when llama.cpp is not there.
"""
import argparse
import ctypes
import json
import pathlib
import shutil
import sys
import tempfile

import check_gguf as gguf
import peft

llama_cpp = gguf.llama_cpp
SETTINGS = {"lora.rank": 4, "lora.alpha": 12, "training.maxSteps": 8, "training.passes": 8, "training.learningRate": 0.02}


def tuned(kind, folder, adapter):
    """By transformers and peft, with their GELU and with llama.cpp's."""
    model = peft.PeftModel.from_pretrained(gguf.load(kind, folder), adapter).eval()
    return gguf.answers(kind, model), gguf.answers(kind, gguf.with_table(model))


def with_add_on(kind, base, add_on):
    llama = gguf.Llama(base)
    adapter = llama_cpp.llama_adapter_lora_init(llama.model, str(add_on).encode())
    if not adapter:
        raise RuntimeError("llama.cpp does not load the add-on")
    if hasattr(llama_cpp, "llama_set_adapter_lora"):
        failed = llama_cpp.llama_set_adapter_lora(llama.context, adapter, 1.0)
    else:
        failed = llama_cpp.llama_set_adapters_lora(llama.context, (ctypes.c_void_p * 1)(adapter), 1, (ctypes.c_float * 1)(1.0))
    if failed:
        raise RuntimeError("llama.cpp does not take the add-on")
    result = gguf.asked(llama, kind)
    llama.close()
    return result


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--cli", required=True)
    a.add_argument("--only", default="")
    a.add_argument("--keep")
    args = a.parse_args()
    log = llama_cpp.llama_log_callback(lambda level, text, data: None)
    llama_cpp.llama_log_set(log, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    work = pathlib.Path(args.keep or tempfile.mkdtemp())
    work.mkdir(parents=True, exist_ok=True)
    cli = [args.cli, "--workspace", work / "workspace"]
    rows = work / "rows.jsonl"
    for kind, row in (("decoder", lambda i: {"text": f"The answer to question {i} is {i * 7}."}),
                      ("writer", lambda i: {"question": f"What is the answer to question {i}?", "answer": f"It is {i * 7}."})):
        rows.write_text("".join(json.dumps(row(i)) + "\n" for i in range(24)))
        gguf.run(*cli, "data", "import", rows, "--as", kind, "--split", "80/10/10")
    settings = [x for pair in SETTINGS.items() for x in ("--set", f"{pair[0]}={pair[1]}")]
    bad = 0
    for name, kind, config, tokenizer, own in gguf.cases():
        if kind == "encoder" or args.only and name not in args.only.split(","):
            continue
        folder = work / name
        out = {form: work / f"{name}-{form}" for form in ("gguf", "gguf-lora", "peft", "merged")}
        for each in (folder, *out.values()):
            shutil.rmtree(each, ignore_errors=True)
        try:
            gguf.make(kind, config, tokenizer, folder, own)
            gguf.run(*cli, "model", "import", folder, "--as", name)
            gguf.run(*cli, "train", "--model", name, "--data", kind, "--name", f"{name}-run", *settings)
            gguf.run(*cli, "export", f"model:{name}", "--as", "gguf", "--type", "F32", "--to", out["gguf"])
            for form in ("gguf-lora", "peft", "merged"):
                gguf.run(*cli, "export", f"{name}-run", "--as", form, "--to", out[form])
            plain, (theirs, tabled) = gguf.answers(kind, gguf.load(kind, folder)), tuned(kind, folder, out["peft"])
            file = lambda form: out[form] / f"{out[form].name}.gguf"
            difference = float((with_add_on(kind, file("gguf"), file("gguf-lora")) - tabled).abs().max())
            moved = float((theirs - plain).abs().max())
            merged = float((gguf.answers(kind, gguf.load(kind, out["merged"])) - theirs).abs().max())
            gelu = float((tabled - theirs).abs().max())
            fine = gguf.near(difference, gelu) and merged < 1e-4 and moved > 0.1
            print(f"{name}: log-probabilities {difference:.2g} in llama.cpp, {merged:.2g} of the merged folder; the add-on moves them by {moved:.2g}"
                  f"{'' if fine else '   WRONG'}", flush=True)
        except Exception as e:
            fine = False
            print(f"{name}: {e}   WRONG", flush=True)
        bad += 0 if fine else 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
