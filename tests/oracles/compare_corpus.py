"""Our tokenizers beside the `tokenizers` package on every line of a corpus: ids, character offsets and decoded
text, for every kind of pipeline.

Run: python tests/oracles/compare_corpus.py ENCODE_CORPUS CORPUS.jsonl WORK [STARTER.gguf] [NAME..]
ENCODE_CORPUS is the built program, WORK a folder for the tokenizers, which are trained on the corpus.
"""

import json
import subprocess
import sys

from corpus_tokenizers import load_or_make, makers


def compare(name, tokenizer, program, folder, corpus, lines):
    ours = subprocess.run([program, folder, corpus], capture_output=True, text=True, encoding="utf-8")
    if ours.returncode != 0:
        print(f"{name}: {ours.stderr.strip()}")
        return len(lines)
    wrong = {"ids": 0, "offsets": 0, "text": 0}
    tokens = 0
    for row, (line, answer) in enumerate(zip(lines, ours.stdout.split("\n"), strict=False)):
        got = json.loads(answer)
        wanted = tokenizer.encode(line)
        tokens += len(wanted.ids)
        offsets = [place for pair in wanted.offsets for place in pair]
        found = [what for what, same in (("ids", got["ids"] == wanted.ids), ("offsets", got["offsets"] == offsets),
                                         ("text", got["text"] == tokenizer.decode(wanted.ids, skip_special_tokens=False))) if not same]
        for what in found:
            wrong[what] += 1
            if wrong[what] <= 3:
                pair = {"ids": (got["ids"], wanted.ids), "offsets": (got["offsets"], offsets), "text": (got["text"], tokenizer.decode(wanted.ids, skip_special_tokens=False))}[what]
                first = next((i for i, (a, b) in enumerate(zip(*pair)) if a != b), min(map(len, pair)))
                print(f"  {name}, row {row}, {what} at {first}: {pair[0][max(0, first - 3):first + 6]!r} here, {pair[1][max(0, first - 3):first + 6]!r} there: {line[:60]!r}")
    print(f"{name}: {len(lines)} lines, {tokens} tokens, lines that differ: ids {wrong['ids']}, offsets {wrong['offsets']}, decoded {wrong['text']}", flush=True)
    return sum(wrong.values())


def main():
    program, corpus, work = sys.argv[1:4]
    rest = sys.argv[4:]
    gguf = rest.pop(0) if rest and rest[0].endswith(".gguf") else None
    lines = [json.loads(line) for line in open(corpus, encoding="utf-8")]
    total = 0
    for name, make in makers(lines, gguf).items():
        if not rest or name in rest:
            total += compare(name, load_or_make(name, make, work), program, f"{work}/{name}", corpus, lines)
    print(f"{total} mismatches")
    return total > 0


if __name__ == "__main__":
    sys.exit(main())
