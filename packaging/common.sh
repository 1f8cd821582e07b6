# shellcheck shell=bash disable=SC2034
# Shared by setup.sh, run.sh and test.sh: words, places and the size of this machine.
# Read with `source`; it changes nothing.

TREE="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
PACKAGING="$TREE/packaging"

say() { printf '%s\n' "$*"; }

# One sentence that names what is missing, and the end.
fail()
{
    printf 'fettle: %s\n' "$*" >&2
    exit 1
}

if [ -z "${FETTLE_CACHE:-}" ]; then
    [ -n "${XDG_CACHE_HOME:-}${HOME:-}" ] \
        || fail "HOME is not set, so there is no place for the cache; set HOME or FETTLE_CACHE."
    FETTLE_CACHE="${XDG_CACHE_HOME:-${HOME:-}/.cache}/fettle"
fi
case "$FETTLE_CACHE" in
    /*) ;;
    *) FETTLE_CACHE="$PWD/$FETTLE_CACHE" ;; # CMake reads it from another folder
esac
export FETTLE_CACHE

LIBTORCH="$FETTLE_CACHE/libtorch-2.11.0"
STARTER_MODEL="$FETTLE_CACHE/models/SmolLM2-135M-Instruct.Q4_1.gguf"

# Compilers at a time: one a core, but no more than memory holds (a file on LibTorch takes 2 GiB).
build_jobs()
{
    local cores memory_gib
    cores="$(nproc)"
    memory_gib="$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)"
    local fitting=$((memory_gib / 2))
    [ "$fitting" -ge 1 ] || fitting=1
    echo $((cores < fitting ? cores : fitting))
}

# Configures and builds one preset.
build_preset()
{
    local preset="$1" jobs
    jobs="$(build_jobs)"
    say "Building the $preset preset in build/$preset with $jobs compilers at a time."
    (cd "$TREE" && cmake --preset "$preset" && cmake --build --preset "$preset" -j "$jobs") \
        || fail "the build of the $preset preset failed; the lines above say where."
}
