#!/bin/bash
# From a clone to a fine-tuned model: sets up, builds, makes a workspace with the starter model and a
# sample, and opens the window on it. Without a display, or with --headless, the same run is done here.
#
#   packaging/run.sh [--headless]
#
# FETTLE_WORKSPACE: folder of the workspace (default: ~/Fettle). What it holds is kept; another run is added.
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

MODEL="SmolLM2-135M-Instruct"
SAMPLE="package-summaries"
SAMPLES="$TREE/resources/samples"
RECIPE="$TREE/resources/recipes/first-run.json"
BIN="$TREE/build/release/bin"
QUESTIONS=3 # of the test rows, answered before and after

headless=""
for word in "$@"; do
    case "$word" in
        --headless) headless=yes ;;
        -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
        *) fail "run.sh does not know $word; the only option is --headless." ;;
    esac
done
[ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ] || headless=yes

choose_workspace()
{
    [ -n "${FETTLE_WORKSPACE:-}${HOME:-}" ] \
        || fail "HOME is not set, so there is no place for the workspace; set FETTLE_WORKSPACE."
    WORKSPACE="$(realpath -m -- "${FETTLE_WORKSPACE:-$HOME/Fettle}")"
    case "$WORKSPACE/" in
        "$(realpath -- "$TREE")"/*)
            fail "the workspace $WORKSPACE would lie inside the source tree; set FETTLE_WORKSPACE to a folder outside." ;;
    esac
}

cli() { "$BIN/fettle-cli" --workspace "$WORKSPACE" "$@"; }

# sample_entry KEY: a string of the sample's entry in samples.json.
# The three little Python programs below only read JSON; python3 belongs to the set-up.
sample_entry()
{
    /usr/bin/python3 -c 'import json, sys
path, name, key = sys.argv[1:]
print(next(s for s in json.load(open(path, encoding="utf-8")) if s["id"] == name)[key])' \
        "$SAMPLES/samples.json" "$SAMPLE" "$1"
}

# sample_maps: role=column, one a line.
sample_maps()
{
    /usr/bin/python3 -c 'import json, sys
path, name = sys.argv[1:]
for role, column in next(s for s in json.load(open(path, encoding="utf-8")) if s["id"] == name)["roles"].items():
    print(role + "=" + column)' "$SAMPLES/samples.json" "$SAMPLE"
}

# write_questions FOLDER: the first test rows as conversations 1.json, 2.json ... and what was wanted as 1.txt ...
write_questions()
{
    /usr/bin/python3 -c 'import json, sys
path, index, name, folder, count = sys.argv[1:]
entry = next(s for s in json.load(open(index, encoding="utf-8")) if s["id"] == name)
rows = [row for row in map(json.loads, open(path, encoding="utf-8")) if row["split"] == "test"][:int(count)]
for number, row in enumerate(rows, 1):
    messages = [{"role": "system", "content": entry["instruction"]},
                {"role": "user", "content": row[entry["roles"]["question"]]}]
    json.dump(messages, open(f"{folder}/{number}.json", "w", encoding="utf-8"))
    open(f"{folder}/{number}.txt", "w", encoding="utf-8").write(row[entry["roles"]["answer"]])' \
        "$SAMPLES/$SAMPLE.jsonl" "$SAMPLES/samples.json" "$SAMPLE" "$1" "$QUESTIONS"
}

fill_workspace()
{
    local maps=() line
    if cli model show "$MODEL" > /dev/null 2>&1; then
        say "The workspace $WORKSPACE has the starter model."
    else
        say "Importing the starter model into $WORKSPACE ..."
        cli model import "$STARTER_MODEL" --as "$MODEL"
    fi
    if cli data show "$SAMPLE" > /dev/null 2>&1; then
        say "The workspace $WORKSPACE has the sample."
    else
        say "Importing the sample $SAMPLE ..."
        while read -r line; do maps+=(--map "$line"); done < <(sample_maps)
        cli data import "$SAMPLES/$SAMPLE.jsonl" --as "$SAMPLE" "${maps[@]}" \
            --instruction "$(sample_entry instruction)"
    fi
}

ask_both()
{
    local folder number
    folder="$(mktemp -d)"
    write_questions "$folder"
    for number in $(seq "$QUESTIONS"); do
        printf '\nQuestion %s of the test rows. Wanted: %s\n' "$number" "$(cat "$folder/$number.txt")"
        cli generate "$MODEL" last --messages "$folder/$number.json" --greedy --max-new 32
    done
    rm -rf "$folder"
}

main_job()
{
    local start=$SECONDS code=0
    say "Training $MODEL on $SAMPLE ..."
    cli train --model "$MODEL" --data "$SAMPLE" --recipe "$RECIPE" || code=$?
    [ "$code" -ne 130 ] || say "Stopped. To go on: $BIN/fettle-cli --workspace $WORKSPACE resume last"
    [ "$code" -eq 0 ] || exit "$code"
    cli plot last --to "$WORKSPACE/last-run.png"
    printf '\nThe original and the tuned model on the test rows:\n'
    cli evaluate "$MODEL" last --data "$SAMPLE" --split test --max-new 32
    ask_both
    printf '\nDone in %d min %d s. The curves: %s\n' $(((SECONDS - start) / 60)) $(((SECONDS - start) % 60)) \
        "$WORKSPACE/last-run.png"
    say "To try it: $BIN/fettle-cli --workspace $WORKSPACE generate $MODEL last --question \"...\""
}

choose_workspace
bash "$PACKAGING/setup.sh"
build_preset release
fill_workspace
if [ -n "$headless" ]; then
    main_job
else
    say "Opening the window on $WORKSPACE; press Start there ..."
    exec "$BIN/fettle" --workspace "$WORKSPACE" --recipe "$RECIPE"
fi
