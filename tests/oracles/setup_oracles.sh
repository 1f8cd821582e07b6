#!/bin/bash
# Makes the Python environment in which the scripts beside this one run. Needed only to make golden
# files anew: building, testing and using Fettle need no Python packages.
#
#   tests/oracles/setup_oracles.sh [FOLDER]      default: ~/.cache/fettle/oracles; about 6 GB
set -euo pipefail
HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
source "$HERE/../../packaging/common.sh"

FOLDER="${1:-$FETTLE_CACHE/oracles}"
PYTHON="${PYTHON:-python3}"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' \
    || fail "Python 3.11 is needed, and $PYTHON is another version; set PYTHON."
if [ ! -x "$FOLDER/bin/python" ]; then
    say "Making a Python environment in $FOLDER ..."
    "$PYTHON" -m venv "$FOLDER" || fail "the Python environment could not be made; the Debian package python3-venv may be missing."
fi
"$FOLDER/bin/python" -m pip install --no-deps --only-binary=:all: --requirement "$HERE/requirements.txt" \
    || fail "not all packages of requirements.txt could be installed; the lines above say which."
"$FOLDER/bin/python" -m pip check
say "Ready: $FOLDER/bin/python tests/oracles/SCRIPT.py"
