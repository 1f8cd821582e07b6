#!/bin/bash
# On a machine with an NVIDIA graphics card: builds libfettle_cuda.so and what trains against the torch
# 2.11 of python3, checks both on the card, measures, and writes one file. Needs no Qt; under ten minutes.
#
#   packaging/gpu-check.sh [RESULT.json]     default: build/cuda/gpu-check.json
#
# Ends with 0: all checks passed; 1: some did not, or the build failed; 77: there is nothing to check here.
# PYTHON: the interpreter with torch (default: python3). FETTLE_JSON_INCLUDE: the folder that holds
# nlohmann/json.hpp where the system has none. FETTLE_BENCH_SECONDS: time for measuring (default: 150).
set -euo pipefail

TREE="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PYTHON="${PYTHON:-python3}"
BIN="$TREE/build/cuda/bin"

say() { printf '%s\n' "$*"; }
nothing() { printf 'There is nothing to check here: %s\n' "$*"; exit 77; }
fail() { printf 'gpu-check: %s\n' "$*" >&2; exit 1; }

case "${1:-}" in
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    -*) fail "gpu-check.sh does not know $1; it takes the name of the result file only." ;;
esac
RESULT="$(realpath -m -- "${1:-$TREE/build/cuda/gpu-check.json}")"

# The folder in which torch and nvidia lie, when it is torch 2.11.
torch_folder()
{
    "$PYTHON" -c 'import importlib.util, pathlib
spec = importlib.util.find_spec("torch")
folder = pathlib.Path(spec.origin).parent
assert "\x272.11.0" in (folder / "version.py").read_text()
print(folder.parent)' 2>/dev/null
}

# Programs of the Python environment and of the toolkit count too.
PATH="$PATH:$(dirname "$(command -v "$PYTHON" || echo /usr/bin/python3)"):${CUDA_HOME:-/usr/local/cuda}/bin"
[ -e /dev/nvidiactl ] || [ -e /proc/driver/nvidia/version ] || [ -e /dev/dxg ] \
    || nothing "this machine has no NVIDIA graphics card, or its driver is not loaded."
command -v nvcc > /dev/null || nothing "nvcc of the CUDA 13 toolkit was not found on the PATH, nor in ${CUDA_HOME:-/usr/local/cuda}/bin."
FETTLE_LIBTORCH="$(torch_folder)" || nothing "$PYTHON has no torch 2.11.0; set PYTHON to an interpreter that has it."
export FETTLE_LIBTORCH CUDACXX="${CUDACXX:-$(command -v nvcc)}"
for program in cmake ninja c++; do
    command -v "$program" > /dev/null || fail "$program was not found; install it."
done

started=$SECONDS
cd "$TREE"
{ cmake --preset cuda && cmake --build --preset cuda -j "$(nproc)"; } || fail "the build failed; the lines above say where."
built=$((SECONDS - started))

mkdir -p "$(dirname "$RESULT")"
WORK="$(mktemp -d)"
trap 'rm -rf "$WORK"' EXIT
outcome=0
"$BIN/gpu_tests" "$WORK/tests.json" || outcome=$?
[ "$outcome" != 77 ] || nothing "the card cannot be used; the line above says why."
"$BIN/gpu_bench" "$WORK/bench.json" "$WORK" "${FETTLE_BENCH_SECONDS:-150}" || outcome=1

# The same rows and weights by transformers and peft, where the Python has them.
peer()
{
    local row="$1" model="$2"
    shift 2
    [ -f "$WORK/$row.json" ] || return 0
    timeout 90 "$PYTHON" "$TREE/tests/bench/peers/gpu_loop.py" --model "$WORK/$model" --ids "$WORK/$row.json" --steps 12 "$@" \
        2> "$WORK/peer.err" | tail -n 1 | sed "s/^{/{\"row\": \"$row\", /" >> "$WORK/peers.jsonl" \
        || { say "The peer of $row did not finish:"; tail -n 2 "$WORK/peer.err"; }
}
if "$PYTHON" -c 'import transformers, peft, numpy' 2> /dev/null; then
    peer G8 SmolLM2-135M
    peer G8 SmolLM2-135M --grouped
    peer G7 Llama-3.2-1B --grouped
fi

"$PYTHON" - "$WORK" "$RESULT" "$built" "$((SECONDS - started))" << 'END'
import json, pathlib, subprocess, sys

work, result, built, total = sys.argv[1:]

def part(name):
    path = pathlib.Path(work, name)
    return json.loads(path.read_text()) if path.exists() else None

def output(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError: # such a program is not there
        return None
    return done.stdout.strip() if done.returncode == 0 else None

lines = pathlib.Path(work, "peers.jsonl")
peers = [json.loads(line) for line in lines.read_text().splitlines()] if lines.exists() else []
facts = {"commit": output("git", "rev-parse", "HEAD"), "compiler": (output("nvcc", "--version") or "").splitlines()[-1:],
         "driver": output("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
         "buildSeconds": int(built), "seconds": int(total)}
pathlib.Path(result).write_text(json.dumps({**facts, "tests": part("tests.json"), "bench": part("bench.json"), "peers": peers}, indent=1) + "\n")
END
say "The result is in $RESULT."
[ "$outcome" = 0 ] || exit 1
