#!/usr/bin/env bash
# Run generated code with every tensor between two pages that nobody may touch (docs/how-to/work-on-ovenbird.md).
#
#     ci/steps/guard_pages.sh                  the networks of the code generator's tests
#     ci/steps/guard_pages.sh ARTIFACT ...     every program of these artifacts
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=${VENV:-.venv}/bin/python

say "generated code between guard pages"
if [ "$#" -gt 0 ]; then
    PYTHONPATH=tests exec "$python" tests/support/guarded.py "$@"
fi
OVENBIRD_GUARD_PAGES=1 exec "$python" -m pytest -q -m "" \
    tests/unit/compile/backends/cpu/test_*.py tests/unit/compile/networks/torch tests/unit/compile/networks/onnx
