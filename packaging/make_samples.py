#!/usr/bin/env python3
"""Makes the sample files of resources/samples/ from Debian's own archive data.

    python3 packaging/make_samples.py [--work FOLDER] [--to FOLDER]

Needs apt-get, dpkg-deb and the network; runs as any user and changes nothing on the system: what is
fetched lies in FOLDER (default: a temporary one). The same archive state gives the same bytes.
"""
import argparse
import collections
import gettext
import glob
import json
import pathlib
import random
import re
import subprocess
import tempfile

SEED = 20261124
RELEASE = "bookworm"
SHARES = (("train", 320), ("validation", 40), ("test", 40))
PROGRAM_SECTIONS = ("admin database editors education electronics games gnome graphics hamradio kde mail math misc "
                    "net science sound text utils video web x11 xfce").split()
LABELS = "admin fonts games graphics mail net science sound text web".split()
# Programs whose catalogue is free under GPL-2+, GPL-3+ or LGPL (their copyright files were read).
CATALOGUES = ("aisleriot baobab catfish cheese-common claws-mail-i18n deja-dup epiphany-browser-data file-roller "
              "geany-common gnome-boxes gnome-calculator gnome-calendar gnome-clocks gnome-contacts "
              "gnome-control-center-data gnome-disk-utility gnome-logs gnome-mahjongg gnome-maps gnome-mines gnome-music "
              "gnome-photos gnome-screenshot gnome-software-common gnome-terminal-data gnucash-common gramps "
              "gthumb-data homebank-data liferea-data meld orca parole pidgin-data polari remmina-common ristretto "
              "simple-scan xarchiver xfce4-settings").split()
ROWS_PER_CATALOGUE = 10


# ---------------------------------------------------------------- the archive

class Archive:
    """Package lists of one release in a folder of its own, through the ordinary client."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder).resolve()
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.sources = self.folder / "sources.list"
        mirror = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Codename: " + RELEASE],
                                capture_output=True, text=True, check=True).stdout.split()
        if not mirror:
            raise SystemExit(f"make_samples: this system's package sources do not name {RELEASE}")
        self.sources.write_text(f"deb {mirror[0]} {RELEASE} main\n")

    def apt(self, *words, cwd=None):
        options = {"Acquire::Languages": "en", "Acquire::GzipIndexes": "false",
                   "Dir::State::lists": self.folder / "lists", "Dir::Cache": self.folder / "cache",
                   "Dir::Etc::sourcelist": self.sources, "Dir::Etc::sourceparts": "-", "APT::Sandbox::User": "root"}
        flags = [part for key, value in options.items() for part in ("-o", f"{key}={value}")]
        subprocess.run(["apt-get", "-q", *flags, *words], check=True, cwd=cwd, stdout=subprocess.DEVNULL)

    def stanzas(self, ending):
        path, = glob.glob(str(self.folder / "lists" / ("*" + ending)))
        fields, last = {}, None
        for line in open(path, encoding="utf-8"):
            if line == "\n":
                yield fields
                fields = {}
            elif line.startswith(" "):
                fields[last] += "\n" + line[1:-1]
            else:
                last, _, value = line.rstrip("\n").partition(":")
                fields[last] = value.strip()
        if fields:
            yield fields

    def packages(self):
        """Dicts with name, source, section, version, synopsis and body of the long description."""
        texts = {(s["Package"], s["Description-md5"]): s["Description-en"]
                 for s in self.stanzas("Translation-en")}
        for s in self.stanzas("_Packages"):
            text = texts.get((s["Package"], s.get("Description-md5")))
            if text:
                synopsis, _, body = text.partition("\n")
                yield {"name": s["Package"], "source": s.get("Source", s["Package"]).split()[0],
                       "section": s.get("Section", ""), "version": s["Version"], "synopsis": synopsis.strip(),
                       "body": body}

    def release(self):
        path, = glob.glob(str(self.folder / "lists" / "*InRelease"))
        text = open(path, encoding="utf-8").read()
        return {key: re.search(rf"^{key}: (.*)$", text, re.M).group(1) for key in ("Version", "Date")}


# ---------------------------------------------------------------- descriptions

BULLET = re.compile(r"^\s*([-*+o.>=~#|]|\d+[.)]|\([0-9a-z]\))\s|^\s", re.M)
ABOUT_THE_PACKAGE = re.compile(r"\b(package|metapackage|Debian|transitional|dummy|packaged|upstream|binar(y|ies)|homepage|website|"
                               r"manpage|man(ual)? page|for more information|see also|please)\b", re.I)
ODD = re.compile(r"https?:|www\.|ftp:|@|\*|_\w+_|`|''|--|\.\.|[<>{}\[\]|\\^~=]|\s[,;.:!?]|[,;]\S{12,}|\?\?|!!|"
                 r";\)|:\)|(?<!e\.g)(?<!i\.e)\. [a-z]{4}|\b(I|[Ii]t's|etc)\b|\((19|20)\d\d\)|"
                 r"(?i:\b(fuck|sex|porn|kill)\w*)")
NOT_A_PROGRAM = re.compile(r"^(lib|fonts?-|python3?-|ruby-|node-|golang-|elpa-|r-cran|r-bioc|haskell|task-|gir1|dict-|"
                           r"php-|cl-|puredata|pd-|gap-|lv2-)|-(dev|doc|dbg|data|common|examples?|plugins?|modules?|headers|"
                           r"perl|java|l10n|plugin|module|theme|support|extension|meta|"
                           r"nox|gtk\d?|qt\d?|all|full|base|core|extra|legacy)$")


def paragraphs(body):
    """Leading paragraphs of running text: stops before the first list or announcement of one."""
    found = []
    for part in re.split(r"(?:^|\n)\.(?:\n|$)", body):
        if not part.strip():
            continue
        if BULLET.search(part):
            break
        text = re.sub(r"\s+", " ", re.sub(r"(\w-)\n(?=\w)", r"\1", part)).strip()  # words cut at a hyphen
        if text.endswith(":"):
            break
        found.append(text)
    return found


def description(package, least=30, most=100):
    """Running text of `least` to `most` words about the program itself, or None."""
    text = ""
    for part in paragraphs(package["body"]):
        if ABOUT_THE_PACKAGE.search(part):
            if text:
                break
            return None
        longer = (text + " " + part).strip()
        if len(longer.split()) > most:
            break
        text = longer
    words = len(text.split())
    if not least <= words <= most or not re.fullmatch(r"[A-Z0-9\"][\x20-\x7e]*[.!]", text) or ODD.search(text):
        return None
    if re.match(r"(It|You|They|If|When|And|But|These|Those)\b", text) or re.search(r"\b(e\.g|i\.e|incl)\.$", text):
        return None  # begins or ends in the middle
    if text.count("(") != text.count(")") or text.count('"') % 2 or re.search(r"\b(\w+) \1\b", text):
        return None
    if not 8 <= words / max(1, len(re.findall(r"[.!?](?:\s|$)", text))) <= 32:
        return None  # telegraph style, or one endless sentence
    return text


def family(source):
    """Name of a source package without version numbers: llvm-toolchain-14 and -15 are one."""
    return re.sub(r"[-.]?\d[\d.]*$", "", source) or source


class Vocabulary:
    """Words that several source packages use; a rare lower-case word is most often a slip."""

    def __init__(self, packages):
        users = collections.defaultdict(set)
        for package in packages:
            for word in set(re.findall(r"[a-z]{3,}", package["synopsis"] + " " + package["body"])):
                if len(users[word]) < 4:
                    users[word].add(family(package["source"]))
        self.known = {word for word, sources in users.items() if len(sources) >= 4}

    def knows_all(self, text):
        return all(word in self.known for word in re.findall(r"(?<![A-Za-z])[a-z]{3,}(?![A-Za-z])", text))


def candidates(packages, vocabulary, sections):
    """One package per family: the one that is called like its source, else the first by name."""
    best = {}
    for package in sorted(packages, key=lambda p: (p["name"] != p["source"], p["name"])):
        if package["section"] not in sections or NOT_A_PROGRAM.search(package["name"]) and package["section"] != "fonts":
            continue
        text = description(package)
        if text and vocabulary.knows_all(text):
            best.setdefault(family(package["source"]), {**package, "text": text})
    return without_near_doubles(best[key] for key in sorted(best))


def without_near_doubles(packages):
    """Leaves out who shares eight words in a row with an earlier one: modules of one series."""
    kept, seen = [], set()
    for package in packages:
        words = re.findall(r"\w+", package["text"].lower())
        runs = {tuple(words[i:i + 8]) for i in range(len(words) - 7)}
        if not runs & seen:
            kept.append(package)
        seen |= runs
    return kept


# Debian asks for "text editor", not for "edits texts" or "this is a text editor".
NOUN_PHRASE = re.compile(r"(?!(Adds|Allows|Changes|Compares|Converts|Creates|Displays|Draws|Figure|Finds|Gives|Helps|Lets|Makes|"
                         r"Provides|Puts|Shows|Takes|Tests|Validates|Writes)\b)(?!.*\bis\b)[A-Z0-9][\x20-\x7e]+")
CONTENT = re.compile(r"[a-z]{4,}")
COMMON = set("with from that this based using used into your which written simple free open source tool program "
             "software application system".split())


def stem(word):
    return word[:6] if len(word) > 6 else word.rstrip("s")


def summary(package):
    """The synopsis as a short line, or None when it cannot be told from the description."""
    line = re.sub(r"^(an?|the)\s+", "", package["synopsis"], flags=re.I).rstrip(".")
    words = line.split()
    if not 3 <= len(words) <= 9 or ODD.search(line) or re.search(r"[():\"!?&/]| - |\d\.\d|,$", line):
        return None
    if package["name"].lower() in line.lower() or ABOUT_THE_PACKAGE.search(line):
        return None
    asked = {stem(w) for w in CONTENT.findall(line.lower())} - {stem(w) for w in COMMON}
    told = {stem(w) for w in CONTENT.findall(package["text"].lower())}
    if len(asked) < 2 or len(asked & told) < 0.6 * len(asked):
        return None
    names = re.findall(r"(?<=[ /-])[A-Z]\w*", line) + re.findall(r"^\w*[A-Z]\w*[A-Z]\w*", line)
    if any(name.lower() not in package["text"].lower() for name in names):
        return None  # a name that the reader cannot know
    if re.fullmatch(r"[a-z-]+,?", words[0]):
        line = line[0].upper() + line[1:]
    return line if NOUN_PHRASE.fullmatch(line) else None


# ---------------------------------------------------------------- interface strings

PLACEHOLDER = re.compile(r"[%{}<>$\\|\n\t\[\]@#=~^`*]|https?:|//|&\w+;|\.\.\.|…|--| - |'\S+'")


def without_mnemonic(text):
    """"_Open File" -> "Open File"; None when underscores mean something else."""
    if text.count("_") > 1 or re.search(r"_(\W|$)", text):
        return None
    return re.sub(r"\s+", " ", text.replace("_", ""))


def end_mark(text):
    return text[-1] if text[-1] in ".!?:" else ""


def string_pair(english, german):
    english, german = without_mnemonic(english.strip()), without_mnemonic(german.strip())
    if not english or not german or english == german:
        return None
    words, german_words = len(english.split()), len(german.split())
    if not 3 <= words <= 25 or not 2 <= german_words <= 30 or not 0.5 <= len(german) / len(english) <= 1.9:
        return None
    if PLACEHOLDER.search(english) or PLACEHOLDER.search(german) or end_mark(english) != end_mark(german):
        return None
    if not re.fullmatch(r"[A-Z][A-Za-z0-9 ,.;:!?'\"()/-]+", english) or re.search(r"[A-Z]{4,}", english):
        return None
    if not re.fullmatch(r"[A-ZÄÖÜ„»\"][A-Za-zÄÖÜäöüß0-9 ,.;:!?'\"()/–„“»«-]+", german):
        return None
    return english, german


def catalogue_pairs(path):
    with open(path, "rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog
    pairs = []
    for english, german in sorted((k, v) for k, v in catalogue.items() if isinstance(k, str) and v):
        pair = string_pair(english.split("\x04")[-1], german)
        if pair:
            pairs.append(pair)
    return pairs


def licence_of(copyright_file):
    text = copyright_file.read_text(encoding="utf-8", errors="replace")
    found = (re.search(r"^Files:\s*\*.*?^License:\s*(.+?)$", text, re.M | re.S)
             or re.search(r"^\s*License:\s*(.+?)$", text, re.M))
    return found.group(1).strip() if found else "see its copyright file"


def pick_strings(pairs, seen):
    """Half whole sentences, half labels, as far as there are; `seen` holds what others picked."""
    def key(pair):
        return re.sub(r"\W+", " ", pair[0].lower()).strip()

    fresh = list({key(p): p for p in pairs if key(p) not in seen}.values())
    sentences = [p for p in fresh if end_mark(p[0])]
    labels = [p for p in fresh if not end_mark(p[0])]
    half = ROWS_PER_CATALOGUE // 2
    picked = sentences[:max(half, ROWS_PER_CATALOGUE - len(labels))]
    picked += labels[:ROWS_PER_CATALOGUE - len(picked)]
    seen.update(map(key, picked))
    return picked


def interface_strings(archive, chance):
    """Rows of the catalogues, and where each catalogue came from."""
    debs = archive.folder / "debs"
    archive.apt("download", *CATALOGUES, cwd=debs)
    rows, origins, seen = [], [], set()
    for name in CATALOGUES:
        deb, = debs.glob(name + "_*.deb")
        opened = archive.folder / "opened" / name
        opened.mkdir(parents=True, exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", deb, opened], check=True)
        pairs = [p for mo in sorted(opened.glob("usr/share/locale/de/LC_MESSAGES/*.mo")) for p in catalogue_pairs(mo)]
        chance.shuffle(pairs)
        picked = pick_strings(pairs, seen)
        if len(picked) == ROWS_PER_CATALOGUE:
            program = re.sub(r"-(common|data|i18n)$", "", name)
            rows.append([{"english": e, "german": g, "group": program} for e, g in picked])
            version = subprocess.run(["dpkg-deb", "-f", deb, "Version"], capture_output=True, text=True,
                                     check=True).stdout.strip()
            origins.append((name, version, licence_of(opened / "usr/share/doc" / name / "copyright")))
        else:
            print(f"{name}: only {len(picked)} strings are good enough; left out")
    return rows, origins


# ---------------------------------------------------------------- files

def with_splits(groups, chance):
    """Gives whole groups to splits until each has its rows, in an order drawn by chance."""
    queue = list(groups)
    chance.shuffle(queue)
    result = []
    for split, wanted in SHARES:
        rows = []
        while len(rows) < wanted:
            rows += [{**row, "split": split} for row in queue.pop()]
        assert len(rows) == wanted, f"{split}: {len(rows)} rows instead of {wanted}"
        chance.shuffle(rows)
        result += rows
    return result


def write_rows(path, rows, columns):
    with open(path, "w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({c: row[c] for c in columns}, ensure_ascii=False) + "\n")
    print(f"{path.name}: {len(rows)} rows")


def labelled_rows(pool, chance):
    """As many rows of each section in each split."""
    by_split = collections.defaultdict(list)
    for label in LABELS:
        found = [p for p in pool if p["section"] == label]
        chance.shuffle(found)
        for split, total in SHARES:
            count = total // len(LABELS)
            if len(found) < count:
                raise SystemExit(f"make_samples: too few good descriptions in section {label}")
            by_split[split] += [{"text": p["text"], "label": label, "group": p["source"], "split": split}
                                for p in found[:count]]
            found = found[count:]
    for rows in by_split.values():
        chance.shuffle(rows)
    return [row for split, _ in SHARES for row in by_split[split]]


def summary_rows(pool, chance, most_of_a_section=45):
    count, picked = collections.Counter(), []
    chance.shuffle(pool)
    for package in pool:
        line = summary(package)
        if line and count[package["section"]] < most_of_a_section:
            count[package["section"]] += 1
            picked.append({"description": package["text"], "summary": line, "group": package["source"]})
    total = sum(n for _, n in SHARES)
    if len(picked) < total:
        raise SystemExit(f"make_samples: only {len(picked)} of {total} summaries are good enough")
    return with_splits([[row] for row in picked[:total]], chance)


def write_origins(path, release, origins):
    lines = ["# Where the samples came from", "", "Written by `packaging/make_samples.py`.", "",
             f"- `package-summaries.jsonl`, `package-sections.jsonl`: package descriptions of Debian {release['Version']} "
             f"({RELEASE}, main), state of the archive: {release['Date']}. The column `group` names the source package.",
             "- `interface-en-de.jsonl`: German gettext catalogues of these packages. The column `group` names the program.",
             "", "| package | version | licence of the program and its catalogue |", "| --- | --- | --- |"]
    lines += [f"| {name} | {version} | {licence} |" for name, version, licence in sorted(origins)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", help="folder for what is fetched (kept)")
    parser.add_argument("--to", default=pathlib.Path(__file__).resolve().parent.parent / "resources" / "samples")
    options = parser.parse_args()
    target = pathlib.Path(options.to)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        archive = Archive(options.work or temporary)
        archive.apt("update")
        packages = list(archive.packages())
        vocabulary = Vocabulary(packages)
        sections = labelled_rows(candidates(packages, vocabulary, LABELS), random.Random(SEED))
        used = {family(row["group"]) for row in sections}
        programs = [p for p in candidates(packages, vocabulary, PROGRAM_SECTIONS) if family(p["source"]) not in used]
        summaries = summary_rows(programs, random.Random(SEED))
        groups, origins = interface_strings(archive, random.Random(SEED))
        write_rows(target / "package-summaries.jsonl", summaries, ("description", "summary", "split", "group"))
        write_rows(target / "package-sections.jsonl", sections, ("text", "label", "split", "group"))
        write_rows(target / "interface-en-de.jsonl", with_splits(groups, random.Random(SEED)),
                   ("english", "german", "split", "group"))
        write_origins(target / "ORIGINS.md", archive.release(), origins)


if __name__ == "__main__":
    main()
