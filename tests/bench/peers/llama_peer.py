#!/usr/bin/env python3
"""llama.cpp: greedy answers of a fixed length to one prompt, with the weights as the GGUF file has them (Q8_0).

Needs the llama-cpp-python package, or its unpacked sources in FETTLE_LLAMA_CPP with the built libraries in LLAMA_CPP_LIB_PATH.
"""
import argparse
import ctypes
import json
import os
import sys
import time
import types

if "FETTLE_LLAMA_CPP" in os.environ:  # the bindings alone: the package wants further ones
    package = types.ModuleType("llama_cpp")
    package.__path__ = [os.path.join(os.environ["FETTLE_LLAMA_CPP"], "llama_cpp")]
    sys.modules["llama_cpp"] = package
import llama_cpp.llama_cpp as lib  # noqa: E402

a = argparse.ArgumentParser(description=__doc__)
a.add_argument("--gguf", required=True)
a.add_argument("--ids", required=True)
a.add_argument("--length", type=int, default=64)
a.add_argument("--batch", type=int, default=1)
a.add_argument("--threads", type=int, default=2)
args = a.parse_args()
assert args.batch == 1, "one prompt at a time"
prompt = json.load(open(args.ids))["prompts"][0]
silent = lib.llama_log_callback(lambda *_: None)  # must outlive the library
lib.llama_log_set(silent, ctypes.c_void_p(0))
lib.llama_backend_init()
model = lib.llama_model_load_from_file(args.gguf.encode(), lib.llama_model_default_params())
how = lib.llama_context_default_params()
how.n_ctx = how.n_batch = how.n_ubatch = 1024
how.n_threads = how.n_threads_batch = args.threads
context = lib.llama_init_from_model(model, how)
vocab = lib.llama_model_get_vocab(model)
count = lib.llama_vocab_n_tokens(vocab)
sampler = lib.llama_sampler_init_greedy()


def answer(length):
    lib.llama_memory_clear(lib.llama_get_memory(context), True)
    ids, read = [], list(prompt)
    while len(ids) < length:
        tokens = (lib.llama_token * len(read))(*read)
        assert lib.llama_decode(context, lib.llama_batch_get_one(tokens, len(read))) == 0
        ids.append(lib.llama_sampler_sample(sampler, context, -1))
        read = ids[-1:]
    return ids


answer(4)
start = time.perf_counter()
ids = answer(args.length)
seconds = time.perf_counter() - start
peak = next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"program": "llama.cpp", "batch": 1, "seconds": seconds, "tokensPerSecond": len(ids) / seconds, "peakBytes": peak,
                  "ids": [ids]}))
