"""Throughput of our tokenizer beside the Python `tokenizers` package, one thread each, in turn.

Run: python tests/oracles/bench_tokenizers.py BENCH_TOKENIZER FOLDER FILE [ROUNDS]
BENCH_TOKENIZER is the built program, FOLDER holds a tokenizer.json, FILE is any UTF-8 text.
"""

import os
import re
import statistics
import subprocess
import sys
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
from tokenizers import Tokenizer  # noqa: E402  (reads the two settings)


def pieces(data):
    """Texts of about 4 kB at line ends, as bench_tokenizer cuts them."""
    out, at = [], 0
    while at < len(data):
        end = data.find(b"\n", min(at + 4000, len(data)))
        end = len(data) if end < 0 else end + 1
        out.append(data[at:end].decode("utf-8"))
        at = end
    return out


def main():
    program, folder, path = sys.argv[1:4]
    rounds = int(sys.argv[4]) if len(sys.argv) > 4 else 5
    tokenizer = Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    tokenizer.encode_special_tokens = True
    data = open(path, "rb").read()
    texts = pieces(data)
    ours, theirs = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        count = sum(len(tokenizer.encode(text, add_special_tokens=False)) for text in texts)
        theirs.append(len(data) / 1e6 / (time.perf_counter() - start))
        line = subprocess.run([program, folder, path, "1"], capture_output=True, text=True, check=True).stdout
        rate, tokens = re.match(r"([\d.]+) MB/s, (\d+) tokens", line).groups()
        assert int(tokens) == count, f"{tokens} tokens here, {count} there"
        ours.append(float(rate))
        print(f"fettle {ours[-1]:.2f} MB/s, tokenizers {theirs[-1]:.2f} MB/s, both {count} tokens", flush=True)
    print(f"ratio of the medians: {statistics.median(ours) / statistics.median(theirs):.2f}")


if __name__ == "__main__":
    main()
