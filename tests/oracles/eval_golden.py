#!/usr/bin/env python3
"""Writes tests/golden/eval.json: scores by scikit-learn, intervals by SciPy, and the text rules of SQuAD
and rouge_scorer carried out with Python's own strings and regular expressions."""
import collections
import json
import math
import random
import re
import string
import sys
from pathlib import Path

import numpy as np
import scipy
import scipy.stats
import sklearn
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

MASK = (1 << 64) - 1


class Xoshiro:
    def __init__(self, seed):
        self.s = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & MASK
            z = seed
            z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
            self.s.append(z ^ (z >> 31))

    @staticmethod
    def rotl(x, k):
        return ((x << k) | (x >> (64 - k))) & MASK

    def next(self):
        s = self.s
        result = (self.rotl((s[1] * 5) & MASK, 7) * 9) & MASK
        t = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= t
        s[3] = self.rotl(s[3], 45)
        return result

    def index(self, size):
        return math.floor(size * ((self.next() >> 11) * 2.0**-53))


def normalise(text):
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_f1(prediction, reference):
    given, wanted = normalise(prediction).split(), normalise(reference).split()
    common = sum((collections.Counter(given) & collections.Counter(wanted)).values())
    if common == 0:
        return 0.0
    p, r = common / len(given), common / len(wanted)
    return 2 * p * r / (p + r)


def rouge_l(reference, hypothesis):
    tokens = [re.sub(r"[^a-z0-9]+", " ", t.lower()).split() for t in (reference, hypothesis)]
    ref, hyp = tokens
    if not ref or not hyp:
        return 0.0
    table = [[0] * (len(hyp) + 1) for _ in range(len(ref) + 1)]
    for i, a in enumerate(ref, 1):
        for j, b in enumerate(hyp, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if a == b else max(table[i - 1][j], table[i][j - 1])
    p, r = table[-1][-1] / len(hyp), table[-1][-1] / len(ref)
    return 2 * p * r / (p + r) if p + r else 0.0


def texts():
    pairs = [
        ("The U.S. Senate", "US senate"), ("an apple, a day", "apple day keeps"), ("the", "the"), ("", ""),
        ("l'\u00e9tat", "letat"), ("3,5 mg", "35 mg"), ("Stra\u00dfe \u0130stanbul", "stra\u00dfe i\u0307stanbul"),
        ("\u039f\u0394\u039f\u03a3 A\u00a0the\u2003b", "\u03bf\u03b4\u03bf\u03c2 b"), ("a\u0301 an\u00b2 the_x", "\u0301 an\u00b2 thex"),
        ("x\u001cy\u001fz", "x y z"), ("\u212aelvin 300\u212a", "kelvin 300k"), ("the the a cat", "a cat sat on the mat"),
        ("\u4e00 a \u0939\u093f\u0928\u094d\u0926\u0940 the", "\u4e00 \u0939\u093f\u0928\u094d\u0926\u0940"), ("na\u00efve caf\u00e9", "na ve caf"),
        ("tool to list packages", "lists packages: a tool"), ("A.N. other", "an other"),
    ]
    return [{"prediction": p, "reference": r, "normalised": normalise(p), "match": normalise(p) == normalise(r),
             "f1": squad_f1(p, r), "rougeL": rouge_l(r, p)} for p, r in pairs]


def classes():
    rows = [("aaaabbbccd", "aabcbbacea")]
    rng = random.Random(7)
    for size, names in ((40, "abc"), (25, "abcdefgh"), (60, "xy")):
        truth = [rng.choice(names) for _ in range(size)]
        said = [t if rng.random() < 0.6 else rng.choice(names + "?") for t in truth]
        rows.append(("".join(truth), "".join(said)))
    out = []
    for truth, said in rows:
        y, p = list(truth), list(said)
        draw = Xoshiro(11)
        resampled = []
        for _ in range(40):
            index = [draw.index(len(y)) for _ in y]
            resampled.append(f1_score([y[i] for i in index], [p[i] for i in index], average="macro"))
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            balanced = balanced_accuracy_score(y, p)
        out.append({"truth": truth, "said": said, "accuracy": accuracy_score(y, p), "balancedAccuracy": balanced,
                    "macroF1": f1_score(y, p, average="macro"),
                    "macroF1Interval": list(np.percentile(resampled, [2.5, 97.5]))})
    return out


def main():
    generator = Xoshiro(42)
    golden = {
        "origin": f"tests/oracles/eval_golden.py, Python {sys.version.split()[0]}, scikit-learn "
                  f"{sklearn.__version__}, SciPy {scipy.__version__}, NumPy {np.__version__}, float64",
        "xoshiro256 seed 42": [str(generator.next()) for _ in range(6)],
        "texts": texts(),
        "classes": classes(),
        "wilson": [[k, n, *scipy.stats.binomtest(k, n).proportion_ci(method="wilson")]
                   for k, n in ((8, 10), (0, 5), (5, 5), (1, 400), (212, 400))],
        "student": [[n, scipy.stats.t.ppf(0.975, n - 1)] for n in (2, 3, 4, 5, 10, 30, 1000)],
        "mcnemar": [[b, c, min(1.0, scipy.stats.binomtest(b, b + c).pvalue) if b + c else 1.0]
                    for b, c in ((10, 3), (5, 5), (0, 0), (0, 1), (1, 9), (40, 60), (300, 360))],
    }
    path = Path(__file__).resolve().parent.parent / "golden" / "eval.json"
    path.write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
