#!/bin/bash
# Builds the preset "fuzz" and runs each of its programs for SECONDS (60) over its seeds and over the
# inputs that once broke a reader. What a run finds is left in build/fuzz/found/TARGET.
#
#   tests/fuzz/run_targets.sh [SECONDS [TARGET..]]
#
# Needs clang, which nothing else here needs: without it the script ends with 77 (skipped).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

SECONDS_EACH="${1:-60}"
shift || true
TARGETS=("$@")
if [ "${#TARGETS[@]}" -eq 0 ]; then
    TARGETS=(gguf torch tokenizer template safetensors config adapter vocabulary sentencepiece)
fi
if ! command -v clang++ > /dev/null; then
    echo "skipped: clang++ is missing; install Debian's package clang to run the fuzz targets"
    exit 77
fi

[ -f build/fuzz/build.ninja ] || cmake --preset fuzz
cmake --build build/fuzz --target "${TARGETS[@]/#/fuzz_}" make_seeds

failed=()
for target in "${TARGETS[@]}"; do
    corpus="build/fuzz/corpus/$target"
    found="build/fuzz/found/$target"
    mkdir -p "$corpus" "$found" "tests/fuzz/inputs/$target"
    build/fuzz/bin/make_seeds "$target" "$corpus"
    dictionary="tests/fuzz/dictionaries/$target"
    options=(-max_total_time="$SECONDS_EACH" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1
             -artifact_prefix="$found/" -max_len="$(build/fuzz/bin/make_seeds "$target" --max-size)")
    [ ! -f "$dictionary" ] || options+=(-dict="$dictionary")
    if ! build/fuzz/bin/fuzz_"$target" "${options[@]}" "$corpus" "tests/fuzz/inputs/$target" \
        > "build/fuzz/$target.log" 2>&1; then
        failed+=("$target")
        grep -m 3 -E 'broken promise|ERROR|runtime error|SUMMARY' "build/fuzz/$target.log" || true
    fi
    awk -v target="$target" '/number_of_executed_units/ { print target ": " $2 " executions" }' \
        "build/fuzz/$target.log"
done
if [ "${#failed[@]}" -gt 0 ]; then
    echo "found something: ${failed[*]} (build/fuzz/TARGET.log, build/fuzz/found/TARGET)"
    exit 1
fi
