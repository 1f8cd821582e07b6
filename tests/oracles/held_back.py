#!/usr/bin/env python3
"""Random tiny checkpoints that no test has seen - other seeds, shapes and settings of every family, with tokenizers trained
anew and published conversation forms - opened by Fettle and by transformers side by side.

usage: held_back.py BUILD-FOLDER [--seed N] [--cases N] [--only FAMILY,..] [--jobs N] [--keep FOLDER] > docs/held-back.md

Logits, gradients and generation are asked by the test programs test_families and test_encoders, which read these checkpoints
where FETTLE_CHECKPOINTS names their folder; the rest goes through fettle-cli. llama.cpp is asked when check_gguf.py can find it.
The conversation forms are those of the package trl, which is not among requirements.txt (tests/bench/peers/install.sh has it).
Exit code 1 when anything differs.
"""
import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM, PreTrainedTokenizerFast

import held_back_cases as cases
import make_encoder_goldens
import make_family_goldens
from parity_table import cell, table
from template_messages import CONVERSATIONS

try:
    from check_gguf import Llama, start
    start()
except SystemExit:
    Llama = None
torch.set_num_threads(1)
DECODER_TESTS = ["equalsTheReference", "gradientsEqualTheReference", "cachedGenerationEqualsTheReference", "aWrittenFolderAnswersTheSame"]
COLUMNS = ["logits", "gradients", "generation", "tokenizer", "template", "HF out", "GGUF out", "GGUF tokens", "GGUF back"]
MOST_DRAWS = 16
TITLE = """# Checkpoints held back

Made by `tests/oracles/held_back.py build/test --seed {seed} --cases {cases}`; do not edit.

{count} random tiny checkpoints of `transformers` {version} that no test has seen: other seeds, head counts, sharing of keys,
widths, tied and own heads, kinds of rotary positions, biases, windows, vocabularies, activations; a tokenizer trained anew and
a published conversation form for each. Largest difference of a logit or state, of a gradient relative to its norm; eight
greedy tokens; lines on which token ids or decoded text differ from `tokenizers` and conversations whose ids differ from
`transformers` ("0 of n"); logits in `transformers` of a folder written here. GGUF files express few of these settings, so
further checkpoints of each family, with the activation that files imply, are drawn until {cases} were: log-probabilities in llama.cpp, lines that it tokenises
otherwise, and log-probabilities of the file read back here. "refused" counts those that files cannot express, each with a
sentence. GGUF files are asked of decoders alone here; of encoders and encoder-decoders: check_gguf.py.
"""


def ids_of(r, count, size):
    return [r.randrange(3, size) for _ in range(count)]


def drawn(r, kind, case, corpus, file_of=None):
    """Settings of a checkpoint and its tokenizer; `file_of`: of this family, likely to fit into a GGUF file."""
    settings = cases.for_files(r, file_of, case[-1](r)) if file_of else case[-1](r)
    pipeline = r.choice({"encoders": ["wordpiece"], "writers": ["unigram"]}.get(kind, ["gpt2", "llama3", "qwen2", "gpt4o", "mistral", "gemma"]))
    dressed = cases.dressed(r, corpus, pipeline, settings, kind == "families")
    settings["vocab_size"] = len(dressed) + r.randint(0, 5)
    return settings, dressed


def make_all(work, args, only):
    """name -> (kind, folder). Writes checkpoints and what the reference says of them, in the shape of tests/."""
    goldens, made = {"families": {}, "encoders": {}, "writers": {}}, {}
    shared = random.Random(f"{args.seed} texts")
    corpus = cases.lines(shared, 400)
    first, second = ids_of(shared, 16, 48), ids_of(shared, 7, 48)
    for kind, families in {"families": cases.DECODERS, "encoders": cases.ENCODERS, "writers": cases.WRITERS}.items():
        for family, case in families.items():
            for number in range(args.cases if family == only else 0):
                name = f"{family}-{args.seed}-{number}"
                r = random.Random(name)
                folder = work / "fixtures/families" / name
                settings, dressed = drawn(r, kind, case, corpus)
                seed = args.seed * 100 + number
                if kind == "families":
                    golden = make_family_goldens.make(folder, case[0], settings, seed, first, second)
                elif kind == "encoders":
                    golden = make_encoder_goldens.make_encoder(folder, case[0][number % len(case[0])], case[1], settings, seed,
                                                               ids_of(r, 30, 48), ids_of(r, 9, 48))
                else:
                    golden = make_encoder_goldens.make_writer(folder, case[0], case[1], settings, seed, ids_of(r, 30, 48), ids_of(r, 9, 48))
                dressed.save_pretrained(folder)
                goldens[kind][name] = golden
                made[name] = (kind, folder)
    (work / "golden").mkdir(exist_ok=True)
    make_family_goldens.write(work / "golden/families.json", goldens["families"], first, second)
    make_encoder_goldens.write(work / "golden/families_encoders.json", goldens["encoders"], goldens["writers"])
    return made, corpus


class Findings:
    def __init__(self):
        self.cells = collections.defaultdict(list)  # column -> values of one family
        self.faults, self.refusals = [], collections.Counter()

    def add(self, name, column, value, limit=1e-4):
        self.cells[column].append(value)
        if isinstance(value, str) or isinstance(value, float) and not value <= limit:
            self.fault(name, f"{column}: {value}")

    def fault(self, name, what):
        self.faults.append(f"{name}: {what}")
        print("FAULT", name, what, file=sys.stderr, flush=True)

    def row(self):
        out = {}
        for column in COLUMNS:
            values = self.cells[column]
            numbers = [v for v in values if isinstance(v, float)]
            refused = sum(v is None for v in values)
            counts = [v for v in values if isinstance(v, tuple)]
            parts = [cell(max(numbers))] if numbers else []
            parts += [f"{sum(c[0] for c in counts)} of {sum(c[1] for c in counts)}"] if counts else []
            parts += [f"{refused} refused"] if refused else []
            parts += ["FAULT"] if any(isinstance(v, str) for v in values) else []
            out[column] = ", ".join(parts)
        return out


def asked_of_programs(made):
    """The test functions that have something to test: one without a row is an error."""
    kinds = {kind for kind, _ in made.values()}
    sparse = any(name.startswith(("mixtral", "qwen3_moe")) for name in made)
    if "families" in kinds:
        yield "test_families", DECODER_TESTS + (["balanceLossEqualsTheReference"] if sparse else [])
    if "encoders" in kinds:
        yield "test_encoders", ["encoders", "encoderGradients"]
    if "writers" in kinds:
        yield "test_encoders", ["writers", "writerGradients", "answers"]
    if kinds - {"families"}:
        yield "test_encoders", ["weightsAreThoseExpected", "lowRankUpdatesActOnEverySite", "aWrittenFolderIsTheSame"]


def ask_test_programs(build, work, made, found):
    for program, functions in asked_of_programs(made):
        log = work / f"{functions[0]}.parity"
        done = subprocess.run([build / "bin" / program, "-nocrashhandler", *functions], capture_output=True, text=True,
                              env={**os.environ, "FETTLE_CHECKPOINTS": str(work), "FETTLE_PARITY": str(log), "QT_QPA_PLATFORM": "offscreen"})
        for line in log.read_text().splitlines() if log.exists() else []:
            name, column, value = line.split("\t")
            if column in COLUMNS:
                found.add(name, column, float(value))
        lines = done.stdout.splitlines()
        for i, line in enumerate(lines):
            if match := re.match(r"FAIL!  : \w+::(\w+)\((.*?)\) ?(.*)", line):
                found.fault(match[2] or program, f"{match[1]}: {match[3]} {' '.join(x.strip() for x in lines[i + 1:i + 3])}")
        if done.returncode < 0 or "Totals:" not in done.stdout:
            found.fault(program, (done.stdout + done.stderr)[-300:])


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, encoding="utf-8")
    return done.returncode, done.stdout, (done.stderr + done.stdout).strip()[-400:]


def answers(kind, folder, ids):
    """Logits of the library, or the states of an encoder."""
    load = {"families": AutoModelForCausalLM, "writers": AutoModelForSeq2SeqLM, "encoders": AutoModel}[kind]
    more = {"experts_implementation": "eager"} if kind == "families" else {}
    model = load.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager", **more).eval()
    with torch.no_grad():
        if kind == "writers":
            return model(input_ids=torch.tensor([ids]), decoder_input_ids=torch.tensor([[0] + ids[:5]])).logits[0]
        out = model(torch.tensor([ids]))
        return out.logits[0] if kind == "families" else out.last_hidden_state[0]


def compare_tokenizer(build, folder, corpus_file, corpus, found, name):
    code, out, said = run(build / "bin/encode_corpus", folder, corpus_file)
    if code != 0:
        return found.add(name, "tokenizer", said)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    wrong = 0
    for line, answer in zip(corpus, out.split("\n")):
        got, wanted = json.loads(answer), reference.encode(line)
        same = got["ids"] == wanted.ids and got["text"] == reference.decode(wanted.ids, skip_special_tokens=False)
        wrong += not same
        if not same and wrong == 1:
            found.fault(name, f"tokenizer, {line[:60]!r}: {got['ids'][:12]} for {wanted.ids[:12]}")
    found.add(name, "tokenizer", (wrong, len(corpus)))


def compare_template(cli, folder, found, name, r, work):
    """Ids of conversations. What users type as marks is text here, and parsed there: that one is left out."""
    reference = PreTrainedTokenizerFast.from_pretrained(folder)  # the automatic class makes pipelines of its own for some families
    wrong = asked = 0
    for title, messages, extra in r.sample([c for c in CONVERSATIONS if c[0] != "typed marks" and set(c[2]) <= {"tools"}], 6):
        try:
            wanted = reference.apply_chat_template(messages, tools=extra.get("tools"), tokenize=True, return_dict=False)
        except Exception:
            continue
        (work / "messages.json").write_text(json.dumps({"messages": messages, **extra}))
        code, out, said = run(*cli, "--json", "tokens", folder, "--messages", work / "messages.json", "--loss-on", "all")
        asked += 1
        got = json.loads(out)["ids"] if code == 0 else said
        same = code == 0 and got[:len(wanted)] == wanted and len(got) <= len(wanted) + 1  # an end mark may be added
        wrong += not same
        if not same:
            found.fault(name, f"template, {title}: {str(got)[:200]} for {str(wanted)[:80]}")
    found.add(name, "template", (wrong, asked))


def turns_by_window(config, length):
    """llama.cpp chooses the factors by the size of its window (256 at least), transformers by the length of the text."""
    rope = config.get("rope_parameters") or {}
    return rope.get("rope_type") == "longrope" and length <= rope["original_max_position_embeddings"] < 256


def compare_with_llama(file, folder, ids, theirs, limit, corpus, found, name):
    config = json.loads((folder / "config.json").read_text())
    try:
        llama = Llama(file)
        off = float((torch.log_softmax(llama.logits(ids).double(), -1) - theirs).abs().max())
        reference = PreTrainedTokenizerFast.from_pretrained(folder)
        # Pieces of the vocabulary that hold a NUL end there in llama.cpp.
        corpus = [line for line in corpus if "\0" not in line]
        wrong = [line for line in corpus if llama.tokens(line, True) != reference(line)["input_ids"]]
        llama.close()
    except RuntimeError as error:
        return found.add(name, "GGUF out", str(error))
    if not turns_by_window(config, len(ids)):
        found.add(name, "GGUF out", off, limit)
    found.add(name, "GGUF tokens", (len(wrong), len(corpus)))
    if wrong:
        found.fault(name, f"GGUF tokens, {wrong[0][:60]!r} {reference(wrong[0])['input_ids'][:20]}")


def compare_gguf(cli, folder, work, corpus, found, name):
    """Gives whether a file can express the model."""
    ids = ids_of(random.Random(name + " asked"), 16, 48)
    target = work / "out" / f"{name}-gguf"
    code, out, said = run(*cli, "--json", "export", name, "--as", "gguf", "--type", "F32", "--to", target)
    if code != 0:
        error = json.loads(out)["error"]
        if error["code"] == "unsupported":
            found.refusals[error["what"]] += 1
            found.add(name, "GGUF out", None)
        else:
            found.add(name, "GGUF out", said)
        return False
    # llama.cpp has one GELU, from a table in half precision.
    limit = 1e-2 if "gelu" in (folder / "config.json").read_text() else 1e-4
    file = target / f"{target.name}.gguf"
    for length in re.findall(r"texts above (\d+) tokens", out):  # beyond it files say another model, with a note
        ids = ids[:int(length)]
    theirs = torch.log_softmax(answers("families", folder, ids).double(), -1)
    if Llama:
        compare_with_llama(file, folder, ids, theirs, limit, corpus, found, name)
    code, out, said = run(*cli, "model", "import", file, "--as", f"{name}-back")
    if code != 0:
        found.add(name, "GGUF back", said)
        return True
    again = answers("families", work / "workspace/models" / f"{name}-back", ids)
    found.add(name, "GGUF back", float((torch.log_softmax(again.double(), -1) - theirs).abs().max()), limit)
    return True


def ask_gguf(build, work, args, family, corpus, found):
    """Files express few of the settings that are drawn: further checkpoints until they did `cases` times."""
    cli = [build / "bin/fettle-cli", "--workspace", work / "workspace"]
    r = random.Random(f"{family} {args.seed} files")
    expressed = 0
    for number in range(MOST_DRAWS):
        name = f"{family}-{args.seed}-file{number}"
        folder = work / "fixtures/families" / name
        settings, dressed = drawn(random.Random(name), "families", cases.DECODERS[family], corpus, family)
        make_family_goldens.make(folder, cases.DECODERS[family][0], settings, number)
        dressed.save_pretrained(folder)
        code, _, said = run(*cli, "model", "import", folder, "--as", name)
        if code != 0:
            found.fault(name, f"import: {said}")
            continue
        expressed += compare_gguf(cli, folder, work, r.sample(corpus, 60), found, name)
        if expressed == args.cases or any("are not written as GGUF" in what for what in found.refusals):
            break


def ask_commands(build, work, made, corpus, found):
    cli = [build / "bin/fettle-cli", "--workspace", work / "workspace"]
    corpus_file = work / "corpus.jsonl"
    corpus_file.write_text("".join(json.dumps(line) + "\n" for line in corpus))
    for name, (kind, folder) in made.items():
        r = random.Random(name + " asked")
        code, out, said = run(*cli, "model", "import", folder, "--as", name)
        if code != 0:
            found.fault(name, f"import: {said}")
            continue
        compare_tokenizer(build, work / "workspace/models" / name, corpus_file, corpus, found, name)
        ids = ids_of(r, 16, 48)
        before = answers(kind, folder, ids)
        code, out, said = run(*cli, "export", f"model:{name}", "--as", "merged", "--type", "F32", "--to", work / "out" / name)
        found.add(name, "HF out", float((answers(kind, work / "out" / name, ids) - before).abs().max()) if code == 0 else said)
        if kind == "families":
            compare_template(cli, work / "workspace/models" / name, found, name, r, work)


def ask_family(args, work, family):
    (work / "out").mkdir(parents=True, exist_ok=True)
    made, corpus = make_all(work, args, family)
    found = Findings()
    ask_test_programs(args.build, work, made, found)
    ask_commands(args.build, work, made, corpus, found)
    if family in cases.DECODERS:
        ask_gguf(args.build, work, args, family, corpus, found)
    return found


def apart(args, work, family):
    """In a process of its own: torch and llama.cpp share no state between families, and a crash is a fault of one."""
    try:
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as process:
            return process.submit(ask_family, args, work, family).result()
    except concurrent.futures.BrokenExecutor as error:
        found = Findings()
        found.fault(family, str(error))
        return found


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build", type=pathlib.Path)
    a.add_argument("--seed", type=int, default=1)
    a.add_argument("--cases", type=int, default=4)
    a.add_argument("--only", default="")
    a.add_argument("--jobs", type=int, default=2, help="families that are asked about at the same time")
    a.add_argument("--keep", type=pathlib.Path)
    args = a.parse_args()
    every = [*cases.DECODERS, *cases.ENCODERS, *cases.WRITERS]
    args.only = args.only.split(",") if args.only else every
    work = args.keep or pathlib.Path(tempfile.mkdtemp())
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = {family: pool.submit(apart, args, work / family, family) for family in args.only}
    rows, faults, refusals = {}, [], collections.Counter()
    for family, job in jobs.items():
        found = job.result()
        rows[family] = found.row()
        faults += found.faults
        refusals.update(found.refusals)
    print(TITLE.format(seed=args.seed, cases=args.cases, count=args.cases * len(rows), version=transformers.__version__))
    table(rows, "family")
    if refusals:
        print("Refused as GGUF:\n")
        for sentence, count in refusals.most_common():
            print(f"- {count}: {sentence}")
    for fault in faults:
        print(f"- FAULT {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
