#!/usr/bin/env python3
"""The benchmark: Fettle and its peers in alternating blocks on the same token ids, in one run on one machine.

usage: fettle_bench.py ROW.. --model FOLDER [--bin build/release/bin] [--python VENV/bin/python] [--peers expert,trl] [--pairs 3]
                             [--steps 3] [--ids FOLDER] [--to results.json]

rows   C1 LoRA on short conversations          C2 all weights on the same       C3 LoRA on rows of one length, all taught
       C2-8bit as C2, moments of the optimizer in 8 bits               C2-lean as C2, activations made again
       C4 a model of 20 million (made here)    E3 greedy answers, 1 and 8       L1 loading to the first pass
peers  expert, expert-pack512, plain, trl, trl-best for C; transformers for E3 and L1 (peers/install.sh makes their environment);
       --peers none runs ours alone.

A row fails when losses (or greedy answers) of the two sides disagree, whatever the speed. Results are appended to --to.
"""
import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import flops  # noqa: E402

LOSS_LIMIT = 0.01  # relative; float32 on both sides agrees to 1e-4
TRAINING = {"C1": ("lora", "a.json"), "C2": ("full", "a.json"), "C2-8bit": ("full", "a.json"), "C2-lean": ("full", "a.json"), "C3": ("lora", "d.json"), "C4": ("full", "r.json")}
SCRIPTS = {"expert": ["expert_loop.py"], "expert-pack512": ["expert_loop.py", "--pack", "512"], "plain": ["plain_loop.py"],
           "trl": ["trl_sft.py"], "trl-best": ["trl_sft.py", "--best"], "trl-best-padded": ["trl_sft.py", "--best", "--padded"]}

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("rows", nargs="+", choices=["C1", "C2", "C2-8bit", "C2-lean", "C3", "C4", "E3", "L1"])
a.add_argument("--model", help="Hugging Face folder (C4 makes its own)")
a.add_argument("--bin", default=str(HERE.parents[1] / "build/release/bin"))
a.add_argument("--python", default="python3")
a.add_argument("--peers", default="expert")
a.add_argument("--pairs", type=int, default=3)
a.add_argument("--steps", type=int, default=3, help="timed steps of a block, after one that is not")
a.add_argument("--length", type=int, default=64, help="tokens of each answer of E3")
a.add_argument("--weights", default="float32,int8", help="of E3: how ours holds the model, float32, int8 or nf4; those of few bits "
               "may differ from the peer in every token")
a.add_argument("--llama-cpp", help="of E3: Q8_0 file of the model, answered by llama.cpp too (peers/llama_peer.py)")
a.add_argument("--threads", type=int, default=2)
a.add_argument("--ids", default=".fettle-bench", help="folder of the id files; those that are missing are written")
a.add_argument("--to", default="fettle-bench.json")
args = a.parse_args()
ids = pathlib.Path(args.ids)
ids.mkdir(parents=True, exist_ok=True)
binaries = pathlib.Path(args.bin)
if (binaries.parent / "CMakeCache.txt").exists():  # what is measured is what the sources say
    subprocess.run(["cmake", "--build", binaries.parent, "--target", "fettle-bench"], check=True, stdout=subprocess.DEVNULL)


def run(command):
    out = subprocess.run([str(c) for c in command], capture_output=True, text=True,
                         env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    if out.returncode != 0:  # a failure is a result too
        return {"failed": out.returncode, "why": out.stderr.strip().splitlines()[-1:]}
    return json.loads(out.stdout.strip().splitlines()[-1])


def id_file(name, model):
    path = ids / name
    if not path.exists():
        more = {"a.json": ["A", "--cli", binaries / "fettle-cli", "--model", model], "d.json": ["D"],
                "p.json": ["P", "--cli", binaries / "fettle-cli", "--model", model],
                "r.json": ["R", "--vocab", 8192, "--longest", 256]}[name]
        subprocess.run([str(x) for x in [sys.executable, HERE / "make_ids.py", *more, "--to", path]], check=True,
                       stdout=subprocess.DEVNULL)
    return path


def alternating(ours, peer):
    """Blocks A B, then B A, and so on; one result of each for every pair."""
    mine, theirs = [], []
    for pair in range(args.pairs):
        for side in ((0, 1) if pair % 2 == 0 else (1, 0)):
            if side == 0:
                mine.append(run(ours))
            elif peer:
                theirs.append(run(peer))
    return mine, theirs


def spread(values):
    return {"median": round(statistics.median(values), 4), "lowest": round(min(values), 4), "highest": round(max(values), 4)}


def of(results, key):
    return [r[key] for r in results]


def largest_difference(mine, theirs):
    return max(abs(x - y) / max(abs(y), 1e-9) for x, y in zip(mine[0]["losses"], theirs[0]["losses"]))


def compare(row, name, mine, theirs, agreed, words):
    """One line of the table and its record."""
    bad = [r for r in mine + theirs if "failed" in r]
    record = {"row": row, "peer": name, "ours": mine, "theirs": theirs}
    if bad:
        return {**record, "passed": False, "words": f"did not run: {bad[0]['why']}"}
    record["oursTokensPerSecond"] = spread(of(mine, "tokensPerSecond"))
    record["oursPeakBytes"] = max(of(mine, "peakBytes"))
    text = f"{record['oursTokensPerSecond']['median']:.1f} tokens/s, {record['oursPeakBytes'] / 2**30:.2f} GiB"
    if theirs:
        ratios = spread([x / y for x, y in zip(of(mine, "tokensPerSecond"), of(theirs, "tokensPerSecond"))])
        record.update(theirsTokensPerSecond=spread(of(theirs, "tokensPerSecond")), ratio=ratios,
                      theirsPeakBytes=max(of(theirs, "peakBytes")))
        record["memoryRatio"] = round(record["oursPeakBytes"] / record["theirsPeakBytes"], 4)
        text += (f"; {name} {record['theirsTokensPerSecond']['median']:.1f}, {record['theirsPeakBytes'] / 2**30:.2f} GiB; ratio "
                 f"{ratios['median']:.2f} ({ratios['lowest']:.2f} to {ratios['highest']:.2f}), memory x {record['memoryRatio']:.2f}")
    return {**record, "passed": agreed(), "words": text + words()}


def training(row):
    method, name = TRAINING[row]
    model = args.model
    if row == "C4":
        model = ids / "toy"
        if not (model / "model.safetensors").exists():
            subprocess.run([str(binaries / "bench_toy"), str(model)], check=True)
    file = id_file(name, model)
    common = ["--model", model, "--ids", file, "--method", method, "--steps", args.steps, "--threads", args.threads]
    work = flops.per_step(json.loads((pathlib.Path(model) / "config.json").read_text()), json.loads(file.read_text()),
                          method, args.steps + 1)
    timed = sum(len(r["ids"]) for step in json.loads(file.read_text())["steps"][1:args.steps + 1] for r in step)
    for peer in peers(row):
        gemm = [run([binaries / "bench_gemm", "--model", model, "--threads", args.threads])]
        ours = {"C2-8bit": ["--optimizer", "adamw8bit"], "C2-lean": ["--recompute", "all"]}.get(row, [])
        mine, theirs = alternating([binaries / "bench_training", *common, *ours],
                                   [args.python, HERE / "peers" / SCRIPTS[peer][0], *SCRIPTS[peer][1:], *common] if peer else None)
        gemm.append(run([binaries / "bench_gemm", "--model", model, "--threads", args.threads]))
        ceiling = max(of(gemm, "gflops")) * 1e9
        more = {"ceilingGflops": round(ceiling / 1e9, 1), "flopsPerToken": work}
        if not any("failed" in r for r in mine + theirs):
            for side, results in (("ours", mine), ("theirs", theirs)):
                if results:
                    more[side + "ShareOfCeiling"] = round(statistics.median(of(results, "tokensPerSecond")) * work["perToken"] / ceiling, 3)
                    # tokens of a second of one processor: what other programs on the machine disturb least
                    more[side + "TokensPerProcessorSecond"] = round(statistics.median(timed / r["processorSeconds"] for r in results), 2)
                    more[side + "StartUpSeconds"] = statistics.median(of(results, "startUpSeconds"))
            more["largestLossDifference"] = largest_difference(mine, theirs) if theirs else None
        yield {**compare(row, peer, mine, theirs, lambda: not theirs or more["largestLossDifference"] <= LOSS_LIMIT,
                         lambda: "; " + training_words(more)), **more}


def training_words(more):
    text = f"{more['oursShareOfCeiling']:.0%} of {more['ceilingGflops']:.0f} GFLOP/s at {more['flopsPerToken']['perToken'] / 1e6:.0f} MFLOP a token"
    text += f", first step begins after {more['oursStartUpSeconds']:.1f} s"
    if more["largestLossDifference"] is not None:
        text += (f" (peer {more['theirsShareOfCeiling']:.0%}, {more['theirsStartUpSeconds']:.1f} s); tokens of a processor second "
                 f"{more['oursTokensPerProcessorSecond']:.1f} to {more['theirsTokensPerProcessorSecond']:.1f}; losses differ by at most "
                 f"{more['largestLossDifference']:.1e}")
    return text


def generation(row):
    file = id_file("p.json", args.model)
    for batch in (1, 8):
        more = ["--ids", file, "--length", args.length, "--batch", batch, "--threads", args.threads]
        common = ["--model", args.model, *more]
        sides = {"transformers": [args.python, HERE / "peers/generate.py", *common]} if args.peers != "none" else {None: None}
        if args.llama_cpp and batch == 1:
            sides["llama.cpp"] = [args.python, HERE / "peers/llama_peer.py", "--gguf", args.llama_cpp, *more]
        for weights in args.weights.split(","):
            for name, peer in sides.items():
                mine, theirs = alternating([binaries / "bench_generation", *common, "--weights", weights], peer)

                def equal():
                    pairs = [(x, y) for x, y in zip(mine[0]["ids"], theirs[0]["ids"])]
                    return sum(a == b for x, y in pairs for a, b in zip(x, y)) / sum(len(x) for x, _ in pairs) if theirs else 1.0

                # a near tie may fall the other way in float32 and all that follows differs: most tokens must be equal; between
                # weights that are rounded differently none has to
                same = weights == "float32" and name != "llama.cpp"
                yield {**compare(row, name, mine, theirs, lambda: not same or equal() >= 0.9,
                                 lambda: f"; {equal():.1%} of the tokens equal"), "batch": batch, "weights": weights}


def loading(row):
    peer = [args.python, HERE / "peers/load.py", "--model", args.model] if args.peers != "none" else None
    mine, theirs = alternating([binaries / "bench_loading", args.model], peer)
    for r in mine + theirs:
        if "failed" not in r:
            r["tokensPerSecond"] = 16 / r["firstPass"]  # 16 tokens read
    yield compare(row, "transformers" if theirs else None, mine, theirs,
                  lambda: not theirs or abs(mine[0]["probe"] - theirs[0]["probe"]) < 1e-3 * max(1, abs(theirs[0]["probe"])),
                  lambda: f"; first pass after {statistics.median(of(mine, 'firstPass')):.2f} s")


def peers(row):
    names = [None] if args.peers == "none" else args.peers.split(",")
    for name in names:
        if name is not None and name not in SCRIPTS:
            raise SystemExit(f"{row}: no peer {name}; there are {', '.join(SCRIPTS)}")
    return names


if not args.model and set(args.rows) != {"C4"}:
    raise SystemExit("--model is missing")
results = json.loads(pathlib.Path(args.to).read_text()) if pathlib.Path(args.to).exists() else []
passed = True
for row in args.rows:
    for record in (generation if row == "E3" else loading if row == "L1" else training)(row):
        record.update(time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), machine=platform.processor() or platform.machine(),
                      pairs=args.pairs, steps=args.steps, threads=args.threads)
        passed = passed and record["passed"]
        batch = f" batch {record['batch']}, {record['weights']}" if "batch" in record else ""
        print(f"{row}{batch}: {'' if record['passed'] else 'FAILED, '}{record['words']}", flush=True)
        results.append(record)
        pathlib.Path(args.to).write_text(json.dumps(results, indent=1))
raise SystemExit(0 if passed else 1)
