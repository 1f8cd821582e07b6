"""What the peers share: the id file, the start of an adapter, the meter of a run and its one JSON line."""
import argparse
import json
import os
import statistics
import time

import numpy
import torch

LINEAR = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
IGNORED = -100


def arguments(words, training=True):
    a = argparse.ArgumentParser(description=words)
    a.add_argument("--model", required=True, help="Hugging Face folder")
    a.add_argument("--ids", required=True, help="file that make_ids.py wrote")
    a.add_argument("--threads", type=int, default=2)
    if training:
        a.add_argument("--method", default="lora", choices=["lora", "full"])
        a.add_argument("--steps", type=int, default=3, help="timed steps, after one that is not")
    return a


def read_steps(path, count):
    """Rows of the first `count` steps: lists of (ids, trained), trained as 0 and 1."""
    steps = json.load(open(path))["steps"]
    assert len(steps) >= count, f"the id file has {len(steps)} steps only"
    return [[(row["ids"], row["trained"]) for row in step] for step in steps[:count]]


def adapter_start(rows, columns):
    """The first A of every low-rank pair: uniform within 1 / sqrt(columns), the same numbers on every side."""
    x = numpy.arange(rows * columns, dtype=numpy.uint32)
    for shift, factor in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        x = (x ^ (x >> numpy.uint32(shift))) * numpy.uint32(factor)
    x ^= x >> numpy.uint32(16)
    unit = x.astype(numpy.float64) / 2**32 * 2 - 1
    return torch.from_numpy((unit / columns**0.5).astype(numpy.float32)).reshape(rows, columns)


def load_model(args, dtype=torch.float32, device="cpu"):
    torch.set_num_threads(args.threads)
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=dtype, attn_implementation="sdpa").to(device)
    model.config.use_cache = False
    if args.method == "lora":
        import peft

        model = peft.get_peft_model(model, peft.LoraConfig(
            r=16, lora_alpha=32, lora_dropout=0.0, task_type="CAUSAL_LM", target_modules=LINEAR))
        for name, p in model.named_parameters():
            if "lora_A" in name:
                p.data.copy_(adapter_start(*p.shape))
    model.train()
    return model


def learning_rate(method):
    return 1e-4 if method == "lora" else 1e-5


def optimizer(model, method):
    trained = [p for p in model.parameters() if p.requires_grad]
    return trained, torch.optim.AdamW(trained, lr=learning_rate(method), weight_decay=0.0, fused=True)


def seconds_since_start():
    """Since this process began, by the kernel's clock (hundredths)."""
    ticks = int(open("/proc/self/stat").read().rsplit(")", 1)[1].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


def peak_bytes():
    line = next(x for x in open("/proc/self/status") if x.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


class Meter:
    """Seconds and loss of every step; the first step is not timed."""

    def __init__(self, program, args, steps):
        self.program, self.args = program, args
        self.tokens = [sum(len(ids) for ids, _ in step) for step in steps]
        self.labels = [sum(sum(trained) for _, trained in step) for step in steps]
        self.seconds, self.processors, self.losses, self.first = [], [], [], 0.0

    def begin(self):
        self.clock, self.processor = time.perf_counter(), time.process_time()

    def end(self, loss):
        self.seconds.append(time.perf_counter() - self.clock)
        self.processors.append(time.process_time() - self.processor)
        self.losses.append(float(loss))
        if len(self.seconds) == 1:
            self.first = seconds_since_start()
            self.start_up = self.first - self.seconds[0]

    def report(self, **more):
        rates = [n / s for n, s in zip(self.tokens, self.seconds)]
        print(json.dumps({
            "program": self.program, "method": self.args.method, "tokensPerSecond": round(statistics.median(rates[1:]), 2),
            "perStep": [round(x, 2) for x in rates[1:]], "secondsPerStep": [round(x, 4) for x in self.seconds[1:]],
            "processorSeconds": round(sum(self.processors[1:]), 3), "losses": [round(x, 7) for x in self.losses], "tokens": sum(self.tokens[1:]), "labels": sum(self.labels[1:]),
            "peakBytes": peak_bytes(), "startUpSeconds": round(self.start_up, 2), "firstStepSeconds": round(self.first, 2), "torch": torch.__version__, **more}))
