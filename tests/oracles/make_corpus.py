"""A corpus of many languages for comparing tokenizers, made from what this machine has: gettext
catalogues and manual pages, and lines written here to be awkward. Other people's texts: not kept.

Run: python tests/oracles/make_corpus.py OUT.jsonl
writes one JSON string per line; the same machine gives the same file.
"""

import collections
import gettext
import gzip
import hashlib
import json
import pathlib
import sys

LANGUAGES = ["de", "sv", "fr", "es", "uk", "it", "ru", "ja", "zh_CN", "zh_TW", "pt_BR", "ko", "el", "cs", "tr", "pl", "da", "vi", "nl", "fi", "ro", "ka", "id",
             "sr", "hu", "ca", "eo", "sk", "bg", "hr", "gl", "lt", "be", "ga", "he", "ar", "hi", "th", "fa", "ta", "bn", "te", "ml", "kn", "gu", "pa", "ne", "hy", "kk", "am", "km", "lo", "my", "si", "ur"]
PER_LANGUAGE = 650
MANUALS_PER_LANGUAGE = 120


def digest(text):
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def catalogue_lines(language):
    lines = set()
    for path in sorted(pathlib.Path("/usr/share/locale").glob(f"{language}/LC_MESSAGES/*.mo")):
        try:
            catalogue = gettext.GNUTranslations(path.open("rb"))._catalog
        except (OSError, UnicodeError, ValueError, LookupError):  # a damaged catalogue
            continue
        lines.update(text for key, text in catalogue.items() if key and isinstance(text, str) and len(text) > 1)
    return sorted(lines, key=digest)[:PER_LANGUAGE]


def manual_lines(language):
    lines = set()
    for path in sorted(pathlib.Path("/usr/share/man").glob(f"{language}/man*/*.gz"))[:200]:
        text = gzip.decompress(path.read_bytes()).decode("utf-8", "replace")
        lines.update(line for line in text.split("\n") if len(line) > 40)
    return sorted(lines, key=digest)[:MANUALS_PER_LANGUAGE]


EMOJI = ["👩‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "☺️", "👨🏿‍🚀", "❤️‍🔥", "🫠", "1️⃣", "🏴󠁧󠁢󠁳󠁣󠁴󠁿"]
MARKS = ["\u0301", "\u0308", "\u0323", "\u0327", "\u0345", "\u0591", "\u064b", "\u093c", "\u0e38", "\u302a", "\u3099", "\u20dd", "\U0001d165"]
ODD = ["\x00", "\x01", "\x08", "\x0b", "\x0c", "\x1b", "\x1c", "\x1f", "\x7f", "\x85", "\xa0", "\xad", "\u034f", "\u061c", "\u180e", "\u200b", "\u200c", "\u200d", "\u200e", "\u202e",
       "\u2028", "\u2029", "\u2060", "\u3000", "\ufeff", "\ufff9", "\ufffc", "\ufffd", "\uffff", "\U000e0001", "\U0010ffff", "\ue000", "\u0378", "\u2581", "Ġ", "İ", "ß", "ﬁ", "Σς", "ǆ", "ſ", "K", "Å", "½", "Ⅷ", "①", "㎏", "ﷺ", "가", "각", "ᄀ"]


def awkward_lines():
    lines = [f"a{odd}b" for odd in ODD] + [f" {odd} " for odd in ODD] + [f"x{odd}{odd} {odd}y" for odd in ODD]
    lines += [f"{emoji}text {emoji} {emoji}{emoji}" for emoji in EMOJI]
    lines += [f"{base}{mark}{other} {mark}{base}" for base in "aeoнकกக가Å" for mark in MARKS for other in MARKS[:5]]
    lines += [chr(point) + "x" + chr(point) for point in range(0x80, 0x2000, 3)]
    lines += ["".join(chr(point + i) for i in range(24)) for point in range(0x80, 0x30000, 173) if not 0xD000 <= point < 0xE000]
    lines += ["".join(chr(point + i) + " " for i in range(12)) for point in range(0x1F000, 0x1FB00, 61)]
    lines += [" " * n + "x" + " " * n + "\n" * (n % 5) + "\t" * (n % 3) + "y " for n in range(1, 40)]
    lines += ["don't we'll I'VE 'S 'ſ they'RE it's'd", "I'LL GO", "''s ''ll", "1234567890 12 123 1,234.5 ١٢٣ 一二三 ½¾", "https://example.org/a?b=c&d=%20#e", "snake_case camelCase HTTPServer x86_64 a-b_c",
              "<|im_start|>user\nhi<|im_end|>\n<|endoftext|> [CLS] [MASK] </s><s><unk>", "", " ", "\n", "\n\n \n", "▁▁a ▁b", "<0x41><0xE2>", "##a ##", "ĠĠa Ċ"]
    lines += [text * times for text in ("a", "ab", " ", "9", "é", "漢字", "👍🏽", "!?", "word ", "\n", "़", "Ａ") for times in (300, 3000)]
    return lines


def main(out):
    lines = []
    counts = collections.Counter()
    for language in LANGUAGES:
        own = catalogue_lines(language) + manual_lines(language)
        counts[language] = len(own)
        lines += own
    everything = sorted(lines, key=digest)
    lines += ["\n".join(everything[i:i + 60]) for i in range(0, 1800, 60)]  # very long lines, many languages in one
    lines += awkward_lines()
    with open(out, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
    languages = [language for language, count in counts.items() if count >= 100]
    print(f"{len(lines)} lines, {sum(len(line) for line in lines)} characters, {len(languages)} languages with at least 100 lines: {' '.join(languages)}")


if __name__ == "__main__":
    main(sys.argv[1])
