#!/bin/bash
# Sets up, builds everything with all tests (warnings are errors) and runs them.
#
#   packaging/test.sh [CTEST OPTION..]     for example: packaging/test.sh -R tokenizer
set -euo pipefail
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

bash "$PACKAGING/setup.sh"
build_preset test
cd "$TREE"
exec ctest --preset test "$@"
