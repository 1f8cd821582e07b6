"""Golden bytes of quantised blocks: tests/golden/gguf_quants.json. Q4_0 to Q8_0, F16 and BF16 come from the
gguf package; Q4_K, Q5_K and Q6_K, which it cannot make, from llama.cpp's library (path of libggml-base.so in
the environment variable FETTLE_LIBGGML)."""
import ctypes
import json
import os
import pathlib

import gguf
import numpy as np

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
Type = gguf.GGMLQuantizationType


def values():
    """Ordinary weights, rare large ones, zeros, one sign only, tiny and constant groups."""
    rng = np.random.default_rng(14)
    x = rng.normal(0, 0.03, (6, 256))
    x[1] = rng.standard_t(2, 256) * 0.01
    x[2, :64], x[2, 64:96], x[2, 96:128] = 0, 0.5, -0.25
    x[3] = np.abs(x[3])
    x[3, 128:] *= -1
    x[4] *= 1e-9
    x[5, :32] = (np.arange(32) - 16) / 8
    return x.astype(np.float32)


def by_library(kind, x):
    library = ctypes.CDLL(os.environ["FETTLE_LIBGGML"])
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    block, size = gguf.GGML_QUANT_SIZES[kind]
    out = np.zeros(x.size // block * size, np.uint8)
    library.ggml_quantize_chunk(int(kind), x.ctypes.data, out.ctypes.data, 0, x.shape[0], x.shape[1], None)
    return out


x = values()
cases = {}
for name in ("F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0"):
    cases[name] = gguf.quants.quantize(x, Type[name]).reshape(-1).view(np.uint8).tobytes().hex()
for name in ("Q4_K", "Q5_K", "Q6_K"):
    cases[name] = by_library(Type[name], x).tobytes().hex()
(GOLDEN / "gguf_quants.json").write_text(json.dumps(
    {"made by": "tests/oracles/make_gguf_goldens.py", "versions": {"gguf": "0.19.0", "llama-cpp-python": "0.3.36"},
     "values": x.tobytes().hex(), "types": cases}, indent=1) + "\n")
