#!/usr/bin/env bash
# Rewrites ci/constraints.txt: one tested version of every dependency, for every Python we support.
# Needs uv (pip install uv) and the package index ($UV_DEFAULT_INDEX, else pip's own).    ci/steps/lock.sh
#
# torch and torchvision are held at the pair that the tests ran with. CUDA's libraries are left out:
# torch pins its own, and a CPU build has none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=$(find_python)
command -v uv >/dev/null 2>&1 || fail "NoTool: uv is not installed; pip install uv"
index=${UV_DEFAULT_INDEX:-$("$python" -m pip config get global.index-url 2>/dev/null || true)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf 'torch==2.13.0\ntorchvision==0.28.0\n' >"$work/held.txt"
# What both distributions and all their extras name, but for each other: those are not in the index.
"$python" - >"$work/requirements.in" <<'PYTHON'
import re
import sys

if sys.version_info >= (3, 11):
    import tomllib
else:
    from pip._vendor import tomli as tomllib

for path in ("pyproject.toml", "runtime/pyproject.toml"):
    with open(path, "rb") as file:
        project = tomllib.load(file)["project"]
    for group in (project["dependencies"], *project["optional-dependencies"].values()):
        print(*(one for one in group if not re.match(r"ovenbird(-runtime)?\b", one)), sep="\n")
PYTHON
uv pip compile --quiet --no-python-downloads --universal --python-version 3.10 ${index:+--default-index "$index"} \
    --constraint "$work/held.txt" --no-annotate --no-header --no-emit-index-url "$work/requirements.in" >"$work/found.txt" \
    || fail "LockFailed: uv found no set of versions (its message is above)"
{
    echo "# One tested version of every dependency. Written by ci/steps/lock.sh; do not edit."
    grep -vE '^(nvidia-|cuda-|triton==)' "$work/found.txt"
} >"$work/constraints.txt"
mv "$work/constraints.txt" ci/constraints.txt
say "ci/constraints.txt: $(grep -c == ci/constraints.txt) versions; see what changed: git diff ci/constraints.txt"
