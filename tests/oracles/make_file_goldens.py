"""Golden files for the tests of model file formats: tests/golden/files.json, tiny_llama.gguf and
tiny_llama_expected.safetensors. Run with the environment of tests/oracles/requirements.txt."""
import json
import pathlib
import sys

import gguf
import numpy as np
import safetensors
import safetensors.torch
import torch
import transformers

GOLDEN = pathlib.Path(__file__).resolve().parents[1] / "golden"
TORCH = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64,
         "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8,
         "BOOL": torch.bool}


def safetensors_case(tensors, metadata):
    """The reference library's bytes for tensors of given type, shape and content."""
    content, described = {}, []
    for name, dtype, shape in tensors:
        size = int(np.prod(shape)) if shape else 1
        data = torch.arange(size, dtype=torch.float64).sub(3).mul(0.75)
        tensor = data.gt(0) if dtype == "BOOL" else data.to(TORCH[dtype])
        tensor = tensor.reshape(shape).contiguous()
        content[name] = tensor
        raw = tensor.flatten().view(torch.uint8).numpy().tobytes() if size else b""
        described.append({"name": name, "dtype": dtype, "shape": shape, "hex": raw.hex()})
    return {"tensors": described, "metadata": metadata,
            "file": safetensors.torch.save(content, metadata=metadata or None).hex()}


def quantised(kind, blocks=3):
    """Random blocks of a ggml type with sane scales, and the reference values."""
    rng = np.random.default_rng(int(kind))
    values, size = gguf.GGML_QUANT_SIZES[kind]
    raw = rng.integers(0, 256, (blocks, size), dtype=np.uint8)
    half = lambda: rng.normal(0, 0.1, (blocks, 1)).astype(np.float16).view(np.uint8)
    name = kind.name
    if name in ("Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS"):
        raw[:, 0:2] = half()
    elif name in ("Q4_1", "Q5_1", "Q4_K", "Q5_K"):
        raw[:, 0:2], raw[:, 2:4] = half(), half()
    elif name == "Q2_K":
        raw[:, 80:82], raw[:, 82:84] = half(), half()
    elif name == "Q3_K":
        raw[:, 108:110] = half()
    elif name == "Q6_K":
        raw[:, 208:210] = half()
    elif name == "F16":
        raw = np.array([[0x3C00], [0x0001], [0x8000], [0xC2A1], [0x7BFF], [0x83FF], [0x7C00]],
                       dtype=np.uint16).view(np.uint8)
    elif name == "BF16":
        raw = np.array([[0x3F80], [0x0001], [0x8000], [0xC2A1], [0x7F7F]], dtype=np.uint16).view(np.uint8)
    elif name == "F32":
        raw = rng.normal(0, 1, (blocks, 1)).astype(np.float32).view(np.uint8)
    floats = gguf.quants.dequantize(raw, kind).astype(np.float32).reshape(-1)
    return {"type": int(kind), "name": name, "hex": raw.tobytes().hex(),
            "values": floats.view(np.uint32).tolist()}


def permuted(weight, heads):
    """Rows of q or k in the order that llama.cpp stores them."""
    out, cols = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, cols).swapaxes(1, 2).reshape(out, cols)


def byte_alphabet():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return [chr(b) for b in shown] + [chr(256 + i) for i in range(len(hidden))]


def tiny_llama():
    """A random llama of 2 layers as GGUF (F32, F16, Q8_0 and Q4_1 weights) with a small vocabulary."""
    hidden, inner, layers, heads, kv = 32, 64, 2, 4, 2
    head = hidden // heads
    merges = ["h e", "l l", "he ll", "hell o", "Ġ w", "o r", "Ġw or", "l d", "Ġwor ld"]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    tokens = specials + byte_alphabet() + [m.replace(" ", "") for m in merges]
    writer = gguf.GGUFWriter(GOLDEN / "tiny_llama.gguf", "llama")
    writer.add_name("Tiny Llama")
    writer.add_license("apache-2.0")
    writer.add_context_length(256)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(inner)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(head)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(7)
    writer.add_quantization_version(2)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([3] * len(specials) + [1] * (len(tokens) - len(specials)))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content']"
                             " + '<|im_end|>' + '\n' }}{% endfor %}")
    rng = np.random.default_rng(5)
    kinds = gguf.GGMLQuantizationType

    def add(name, shape, kind, rows=0):
        data = rng.normal(0, 0.3, shape).astype(np.float32)
        if rows:
            data = permuted(data, rows)
        packed = data.astype(np.float16) if kind == kinds.F16 else gguf.quants.quantize(data, kind)
        writer.add_tensor(name, packed, raw_dtype=None if kind in (kinds.F32, kinds.F16) else kind)

    add("token_embd.weight", (len(tokens), hidden), kinds.Q8_0)
    for n in range(layers):
        prefix = f"blk.{n}."
        add(prefix + "attn_norm.weight", (hidden,), kinds.F32)
        add(prefix + "attn_q.weight", (heads * head, hidden), kinds.Q4_1, heads)
        add(prefix + "attn_k.weight", (kv * head, hidden), kinds.F32 if n else kinds.F16, kv)
        add(prefix + "attn_v.weight", (kv * head, hidden), kinds.Q8_0)
        add(prefix + "attn_output.weight", (hidden, heads * head), kinds.Q4_0)
        add(prefix + "ffn_norm.weight", (hidden,), kinds.F32)
        add(prefix + "ffn_gate.weight", (inner, hidden), kinds.Q5_0)
        add(prefix + "ffn_up.weight", (inner, hidden), kinds.Q5_1)
        add(prefix + "ffn_down.weight", (hidden, inner), kinds.Q8_0)
    add("output_norm.weight", (hidden,), kinds.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN, gguf_file="tiny_llama.gguf",
                                                              dtype=torch.float32)
    state = {k: v for k, v in model.state_dict().items() if k != "lm_head.weight"}
    safetensors.torch.save_file(state, GOLDEN / "tiny_llama_expected.safetensors", metadata={"format": "pt"})


def main():
    kinds = gguf.GGMLQuantizationType
    mixed = [("b", "F32", [2, 3]), ("a", "F32", [4]), ("c.weight", "BF16", [3, 2]), ("d", "F16", [1]),
             ("e", "I64", [2]), ("f", "U8", [5]), ("g", "BOOL", [3]), ("h", "F64", [2]), ("i", "I8", [3]),
             ("j", "I32", [1, 1]), ("k", "I16", [2])]
    golden = {
        "made by": "tests/oracles/make_file_goldens.py",
        "versions": {"safetensors": safetensors.__version__, "torch": torch.__version__,
                     "gguf": "0.19.0", "transformers": transformers.__version__,
                     "python": sys.version.split()[0]},
        "safetensors": [
            safetensors_case([], {}),
            safetensors_case(mixed, {"format": "pt"}),
            safetensors_case([("z\u00e9\"\\x", "F32", [2]), ("scalar", "F32", []), ("none", "F32", [0, 4])],
                             {"format": "pt"}),
            safetensors_case([("x", "F16", [3])], {}),
        ],
        "blocks": [quantised(k) for k in (kinds.F32, kinds.F16, kinds.BF16, kinds.Q4_0, kinds.Q4_1, kinds.Q5_0,
                                          kinds.Q5_1, kinds.Q8_0, kinds.Q2_K, kinds.Q3_K, kinds.Q4_K, kinds.Q5_K, kinds.Q6_K,
                                          kinds.IQ4_NL, kinds.IQ4_XS)],
    }
    (GOLDEN / "files.json").write_text(json.dumps(golden, indent=1) + "\n")
    tiny_llama()


main()
