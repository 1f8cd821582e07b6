#!/usr/bin/env python3
"""Makes tests/golden/torch_files.json: honest PyTorch files with the numbers they hold, and hostile ones.

usage: make_torch_goldens.py
"""
import collections
import io
import json
import os
import pathlib
import pickle
import struct
import zipfile

import torch
import transformers

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64", torch.int64: "I64",
         torch.bool: "BOOL", torch.uint8: "U8"}


def saved(value, zipped=True):
    out = io.BytesIO()
    torch.save(value, out, _use_new_zipfile_serialization=zipped)
    return out.getvalue()


def described(tensors):
    return [{"name": n, "dtype": NAMES[t.dtype], "shape": list(t.shape),
             "hex": t.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes().hex()} for n, t in tensors.items()]


def honest():
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6) / 7
    plain = collections.OrderedDict(a=base, half=base.half(), brain=base[0].bfloat16(), wide=base[1].double(), scalar=torch.tensor(3.5),
                                    none=torch.zeros(0, 4), ids=torch.arange(5), flags=torch.tensor([True, False]))
    views = {"turned": base.t(), "part": base[1:3, 2:5], "row": base[2], "whole": base, "step": base[:, ::2]}
    torch.manual_seed(5)
    module = torch.nn.Linear(3, 2)
    parameters = {"w": torch.nn.Parameter(base.clone()), **{"m." + k: v for k, v in module.state_dict().items()}}
    cases = {"plain": (plain, plain), "views of one storage": (views, views), "parameters": (parameters, parameters),
             "state of a module": (module.state_dict(), module.state_dict()), "under state_dict": ({"state_dict": plain, "epoch": 3}, plain),
             "under model": ({"model": dict(plain)}, plain)}
    out = []
    for name, (value, tensors) in cases.items():
        for zipped in (True, False):
            out.append({"name": name + (", zip" if zipped else ", older form"), "file": saved(value, zipped).hex(), "tensors": described(tensors)})
    return out


class Call:
    def __init__(self, function, *arguments):
        self.what = (function, arguments)

    def __reduce__(self):
        return self.what


def zipped(data, storages=(), method=zipfile.ZIP_STORED, extra=()):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        archive.writestr("archive/data.pkl", data)
        for key, raw in storages:
            archive.writestr(f"archive/data/{key}", raw)
        for name, raw in extra:
            archive.writestr(name, raw)
    return out.getvalue()


def tensor_pickle(numel=4, offset=0, size=(4,), stride=(1,), storage="FloatStorage", key="0"):
    """{"w": tensor} with chosen numbers, written step by step."""
    def number(n):
        return b"\x8a\x08" + struct.pack("<q", n)

    def text(s):
        return b"X" + struct.pack("<I", len(s)) + s.encode()

    def numbers(values):
        return b"(" + b"".join(map(number, values)) + b"t"
    return (b"\x80\x02}" + text("w") + b"ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + b"ctorch\n" + storage.encode() + b"\n"
            + text(key) + text("cpu") + number(numel) + b"tQ" + number(offset) + numbers(size) + numbers(stride)
            + b"\x89ccollections\nOrderedDict\n)RtRs.")


def hostile():
    raw = bytes(range(16))
    good = zipped(tensor_pickle(), [("0", raw)])
    big = 1 << 62
    cases = {
        "os.system": (zipped(pickle.dumps({"w": Call(os.system, "true")}, 2)), "system"),
        "eval": (zipped(pickle.dumps({"w": Call(eval, "1")}, 2)), "eval"),
        "os.system, older form": (saved({"w": 1}, False).replace(b"}q\x00X", b"cos\nsystem\n(X\x04\x00\x00\x00trueX", 1), "system"),
        "nested call": (zipped(pickle.dumps(Call(getattr, Call(__import__, "os"), "system"), 2)), "getattr"),
        "numpy": (zipped(b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n."), "_reconstruct"),
        "sparse tensor": (zipped(b"\x80\x02ctorch._utils\n_rebuild_sparse_tensor\n."), "_rebuild_sparse_tensor"),
        "type with state": (zipped(b"\x80\x02ctorch._tensor\n_rebuild_from_type_v2\n."), "_rebuild_from_type_v2"),
        "INST": (zipped(b"\x80\x02(ios\nsystem\n."), "step (0x69)"),
        "OBJ": (zipped(b"\x80\x02(ccollections\nOrderedDict\no."), "step (0x6f)"),
        "NEWOBJ": (zipped(b"\x80\x02ccollections\nOrderedDict\n)\x81."), "step (0x81)"),
        "extension": (zipped(b"\x80\x02\x82\x01."), "step (0x82)"),
        "call of a number": (zipped(b"\x80\x02K\x01)R."), "calls"),
        "call of a table": (zipped(b"\x80\x02})R."), "calls"),
        "object with state": (zipped(b"\x80\x02K\x01}b."), "builds an object"),
        "stride beyond": (zipped(tensor_pickle(size=(2,), stride=(5,)), [("0", raw)]), "reaches beyond"),
        "offset beyond": (zipped(tensor_pickle(offset=1), [("0", raw)]), "reaches beyond"),
        "huge offset": (zipped(tensor_pickle(offset=big), [("0", raw)]), "reaches beyond"),
        "huge stride": (zipped(tensor_pickle(size=(3,), stride=(big,)), [("0", raw)]), "reaches beyond"),
        "huge shape": (zipped(tensor_pickle(size=(big, 4), stride=(0, 0)), [("0", raw)]), "impossible shape"),
        "bomb of repeats": (zipped(tensor_pickle(size=(1 << 40,), stride=(0,)), [("0", raw)]), "larger than its stored"),
        "negative size": (zipped(tensor_pickle(size=(-4,)), [("0", raw)]), "cannot be read"),
        "negative offset": (zipped(tensor_pickle(offset=-1), [("0", raw)]), "cannot be read"),
        "more numbers than stored": (zipped(tensor_pickle(numel=5), [("0", raw)]), "no stored numbers"),
        "no storage": (zipped(tensor_pickle()), "no stored numbers"),
        "storage outside": (zipped(tensor_pickle(key="../0"), [("0", raw)]), "no stored numbers"),
        "unknown storage": (zipped(tensor_pickle(storage="ComplexFloatStorage"), [("0", raw)]), "ComplexFloatStorage"),
        "a list": (zipped(b"\x80\x02]."), "no table"),
        "numbers among weights": (zipped(pickle.dumps({"step": 3}, 2)), "no weight"),
        "empty stack": (zipped(b"\x80\x02."), "takes more"),
        "mark alone": (zipped(b"\x80\x02(."), "takes more"),
        "no mark": (zipped(b"\x80\x02K\x01t."), "no beginning"),
        "unknown memo": (zipped(b"\x80\x02h\x05."), "not there"),
        "no end": (zipped(b"\x80\x02}"), "ends in the middle"),
        "text beyond the end": (zipped(b"\x80\x02X\xff\xff\x00\x00abc"), "ends in the middle"),
        "text of gigabytes": (zipped(b"\x80\x02X\xff\xff\xff\x7f"), "megabyte"),
        "list in itself": (zipped(b"\x80\x02]q\x00h\x00a."), "no table"),
        "odd entries": (zipped(b"\x80\x02}(K\x01u."), "no table"),
        "newer pickle": (zipped(b"\x80\x05}."), "version"),
        "compressed": (zipped(tensor_pickle(), [("0", raw)], zipfile.ZIP_DEFLATED), "compressed"),
        "TorchScript": (zipped(tensor_pickle(), [("0", raw)], extra=[("archive/constants.pkl", b"\x80\x02).")]), "program"),
        "big-endian": (zipped(tensor_pickle(), [("0", raw)], extra=[("archive/byteorder", b"big")]), "big-endian"),
        "no list": (zipped(b"").replace(b"data.pkl", b"data.txt"), "without weights"),
        "truncated": (good[:len(good) // 2], "ends in the middle"),
        "no table of contents": (good[:-30], "ends in the middle"),
        "entry beyond the end": (good.replace(b"PK\x01\x02", b"PK\x01\x02", 1)[:-6] + struct.pack("<I", 1 << 30) + good[-2:], "table of contents"),
        "plain bytes": (b"not a pickle at all", "step"),
        "empty": (b"", "empty"),
    }
    return [{"name": n, "file": f.hex(), "words": w} for n, (f, w) in cases.items()]


golden = {"versions": {"torch": torch.__version__}, "honest": honest(), "hostile": hostile()}
body = ",\n".join(f"{json.dumps(k)}: " + ("[\n" + ",\n".join(map(json.dumps, v)) + "\n]" if isinstance(v, list) else json.dumps(v))
                  for k, v in golden.items())
(GOLDEN / "torch_files.json").write_text("{\n" + body + "\n}\n")
print((GOLDEN / "torch_files.json").stat().st_size)

# The llama of tests/fixtures/families as an old folder would hold it.
model = transformers.AutoModelForCausalLM.from_pretrained(GOLDEN.parent / "fixtures/families/llama", dtype=torch.float32)
torch.save(model.state_dict(), GOLDEN / "llama.bin")
print((GOLDEN / "llama.bin").stat().st_size)
