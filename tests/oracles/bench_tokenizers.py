"""Throughput of our tokenizers beside the `tokenizers` package (Rust), one thread each, block by block in turn,
for every kind of pipeline.

Run: python tests/oracles/bench_tokenizers.py BENCH_TOKENIZERS CORPUS.jsonl WORK ROUNDS [STARTER.gguf] [NAME..]
BENCH_TOKENIZERS is the built program, CORPUS one JSON string a line (make_corpus.py), WORK the folder of
compare_corpus.py. A ratio is their time over ours for the same lines: above 1 we are faster. Both sides remember words; the
first pass over the lines, when neither knows any, is shown apart, and is all there is with 0 ROUNDS.
"""

import json
import os
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from corpus_tokenizers import load_or_make, makers  # noqa: E402  (the package reads the two settings)


def seconds(work):
    start = time.process_time()
    count = work()
    return time.process_time() - start, count


def measure(tokenizer, program, folder, corpus, lines, rounds):
    tokenizer.encode_special_tokens = True
    ours = subprocess.Popen([program, folder, corpus], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    ways = {"one by one": lambda: sum(len(tokenizer.encode(line, add_special_tokens=False)) for line in lines),
            "batch": lambda: sum(len(encoding) for encoding in tokenizer.encode_batch(lines, add_special_tokens=False)),
            "batch without offsets": lambda: sum(len(encoding) for encoding in tokenizer.encode_batch_fast(lines, add_special_tokens=False))}
    ratios = {way: [] for way in ways}
    speeds, first = [], 0.0
    size = sum(len(line.encode("utf-8", "replace")) for line in lines) / 1e6
    for turn in range(rounds + 1):
        for way, work in list(ways.items())[:None if rounds else 1]:
            theirs, count = seconds(work)
            ours.stdin.write("run\n")
            ours.stdin.flush()
            own, own_count = ours.stdout.readline().split()
            assert int(own_count) == count, f"{own_count} tokens here, {count} there"
            first = first or theirs / float(own)
            if turn > 0 or not rounds:
                ratios[way].append(theirs / float(own))
                speeds.append(size / float(own))
    ours.stdin.close()
    ours.wait()
    return first, {way: values for way, values in ratios.items() if values}, statistics.median(speeds)


def main():
    program, corpus, work, rounds = sys.argv[1:5]
    rest = sys.argv[5:]
    gguf = rest.pop(0) if rest and rest[0].endswith(".gguf") else None
    lines = [json.loads(line) for line in open(corpus, encoding="utf-8")]
    for name, make in makers(lines, gguf).items():
        if rest and name not in rest:
            continue
        try:
            first, ratios, speed = measure(load_or_make(name, make, work), program, f"{work}/{name}", corpus, lines, int(rounds))
        except AssertionError as wrong:
            print(f"{name}: {wrong}")
            continue
        shown = ", ".join(f"{way} {statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})" for way, values in ratios.items())
        print(f"{name}: first pass {first:.2f}; {shown}; ours {speed:.1f} MB/s", flush=True)


if __name__ == "__main__":
    main()
