#!/bin/bash
# Makes a throw-away environment with the peers of the benchmarks: install.sh FOLDER [ENVIRONMENT]
# ENVIRONMENT: another virtual environment that has some of them already (torch is large); it is read, never changed.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: install.sh FOLDER [ENVIRONMENT]" >&2; exit 2; }
python3 -m venv "$1"
if [ $# -ge 2 ]; then
    other=$("$2/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    own=$("$1/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$other" > "$own/other-environment.pth"
fi
"$1/bin/python" -m pip install --disable-pip-version-check --quiet \
    torch==2.11.0 transformers==5.23.0 peft==0.21.2 accelerate==1.15.0 trl==1.16.0 datasets==5.2.0
"$1/bin/python" -c 'import torch, transformers, peft, trl; print(torch.__version__, transformers.__version__, peft.__version__, trl.__version__)'
