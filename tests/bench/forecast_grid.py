#!/usr/bin/env python3
"""Short runs over a grid of models, methods and lengths: what was forecast beside what each took.

usage: forecast_grid.py --cli fettle-cli --model FOLDER.. [--steps 6] [--to grid.json]

Each run is a program of its own in a fresh workspace, with the sample texts as rows. forecast_models.py makes models. Prints one line for each: memory forecast,
peak, their ratio; time foretold after one step, time taken, their ratio. Ends with 1 when a peak lies above its forecast.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = HERE.parents[1] / "resources/samples"
METHODS = {"lora": ["method=lora"], "lora r64": ["method=lora", "lora.rank=64"], "full": ["method=full"],
           "full 8-bit": ["method=full", "training.optimizer=adamw8bit"], "lora int8": ["method=lora", "model.weights=int8"],
           "lora nf4": ["method=lora", "model.weights=nf4"]}

a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
a.add_argument("--cli", required=True)
a.add_argument("--model", nargs="+", required=True, help="Hugging Face folders or GGUF files")
a.add_argument("--steps", type=int, default=6)
a.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
a.add_argument("--rows", nargs="+", default=["short", "long"], choices=["short", "long"])
a.add_argument("--micro", nargs="+", type=int, default=[512, 1024, 2048], help="word pieces at once")
a.add_argument("--set", action="append", default=[], help="further settings: KEY=VALUE")
a.add_argument("--to")
args = a.parse_args()


def cli(workspace, *words):
    out = subprocess.run([args.cli, "--workspace", str(workspace), *map(str, words)], capture_output=True, text=True)
    if out.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))}: {out.stderr or out.stdout}")
    return out.stdout


def dataset(workspace, name):
    """Rows of the sample texts; `long` ones are four descriptions in a row."""
    rows = [json.loads(line) for line in (SAMPLES / "package-summaries.jsonl").open()]
    path = workspace / f"{name}.jsonl"
    with path.open("w") as out:
        for i in range(0, min(len(rows), 400), 1 if name == "short" else 4):
            some = rows[i:i + (1 if name == "short" else 4)]
            out.write(json.dumps({"question": "\n\n".join(r["description"] for r in some),
                                  "answer": "\n".join(r["summary"] for r in some)}) + "\n")
    cli(workspace, "data", "import", path, "--as", name, "--map", "question=question", "--map", "answer=answer", "--split", "90/10/0")


results, above = [], 0
for model in args.model:
    with tempfile.TemporaryDirectory() as folder:
        workspace = pathlib.Path(folder)
        cli(workspace, "model", "import", model, "--as", "model")
        for length in args.rows:
            dataset(workspace, length)
            for method in args.methods:
                for micro in args.micro:
                    settings = [*METHODS[method], f"training.microBatchTokens={micro}", f"training.maxSteps={args.steps}",
                                "checks.prompts=1", "checks.answerLength=8", *args.set]
                    cli(workspace, "train", "--model", "model", "--data", length, *[w for s in settings for w in ("--set", s)])
                    run = json.loads(cli(workspace, "--json", "runs", "show", "last"))
                    extra = run.get("extra", run)
                    forecast, measured = extra["forecast"], extra["measured"]
                    memory = forecast["memoryBytes"] / measured["peakBytes"]
                    time = measured["secondsAfterOneStep"] / measured["seconds"]
                    above += memory < 1
                    results.append({"model": pathlib.Path(model).name, "rows": length, "method": method, "micro": micro,
                                    "forecastBytes": forecast["memoryBytes"], "peakBytes": measured["peakBytes"],
                                    "memoryRatio": round(memory, 3), "foretold": round(measured["secondsAfterOneStep"], 2),
                                    "taken": round(measured["seconds"], 2), "timeRatio": round(time, 3)})
                    print(f"{pathlib.Path(model).name[:9]:9} {length:6} {method:11} {micro:5}: memory {forecast['memoryBytes'] / 1e6:6.0f} MB, peak "
                          f"{measured['peakBytes'] / 1e6:6.0f} ({memory:.3f}); time {measured['secondsAfterOneStep']:6.1f} s, "
                          f"taken {measured['seconds']:6.1f} ({time:.3f})", flush=True)
if args.to:
    pathlib.Path(args.to).write_text(json.dumps(results, indent=1))
raise SystemExit(1 if above else 0)
