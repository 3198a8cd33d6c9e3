#!/bin/sh
# Rewrites ci/constraints.txt: one tested version of every dependency, for every Python we support.
# Needs uv (pip install uv) and the package index.    ci/steps/lock.sh
#
# torch and torchvision are held at the pair that the tests ran with. CUDA's libraries are left out:
# torch pins its own, and a CPU build has none.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

printf 'torch==2.13.0\ntorchvision==0.28.0\n' >"$work/held.txt"
# The two distributions name each other and uv must not look for them in the index.
for file in pyproject.toml runtime/pyproject.toml; do
    mkdir -p "$work/$(dirname "$file")"
    sed -E '/^ *"ovenbird(-runtime|\[peers\]).*",?$/d' "$file" >"$work/$file"
done
{
    echo "# One tested version of every dependency. Written by ci/steps/lock.sh; do not edit."
    uv pip compile --quiet --no-python-downloads --universal --python-version 3.10 --all-extras \
        --constraint "$work/held.txt" --no-annotate --no-header --no-emit-index-url \
        "$work/pyproject.toml" "$work/runtime/pyproject.toml" \
        | grep -vE '^(nvidia-|cuda-|triton==)'
} >"$work/constraints.txt"
mv "$work/constraints.txt" ci/constraints.txt
