#!/usr/bin/env bash
# Put Triton's load generator, perf_analyzer, into .cache/perf_analyzer for tests/e2e/serve/test_perf_analyzer.py.
# NVIDIA ships the program in the older wheels of tritonclient (x86-64). It links CUDA's runtime, which comes from a
# wheel too, and libb64, which Debian has. Needs pip, and apt for libb64; no root.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh

version=2.50.0
folder=$PWD/.cache/perf_analyzer
[ "$(uname -m)" = x86_64 ] || fail "NoProgram: perf_analyzer is built for x86_64, this is $(uname -m)"
if [ -x "$folder/perf_analyzer" ]; then
    say "$folder/perf_analyzer is there"
    exit 0
fi
python=$(find_python)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip download --quiet --no-deps --dest "$work" --only-binary=:all: --platform manylinux1_x86_64 \
    "tritonclient==$version" || fail "DownloadFailed: tritonclient $version (its message is above)"
"$python" -m pip download --quiet --no-deps --dest "$work" --only-binary=:all: 'nvidia-cuda-runtime-cu12>=12,<13' \
    || fail "DownloadFailed: nvidia-cuda-runtime-cu12 (its message is above)"
for wheel in "$work"/*.whl; do
    "$python" -m zipfile -e "$wheel" "$work/wheels"
done
if ! ldconfig -p | grep -q 'libb64\.so\.0d'; then
    (cd "$work" && apt-get download -q libb64-0d >/dev/null && dpkg -x libb64-0d_*.deb "$work/debian") \
        || fail "DownloadFailed: libb64-0d; install it: apt-get install libb64-0d"
fi
mkdir -p "$folder/lib"
find "$work/wheels" -name perf_analyzer -exec cp {} "$folder/program" \;
find "$work/wheels" "$work/debian" \( -name 'libcudart.so.12' -o -name 'libb64.so.0d' \) -exec cp -L {} "$folder/lib" \; \
    2>/dev/null || true
chmod +x "$folder/program"
printf '#!/bin/sh\nLD_LIBRARY_PATH=%s exec %s "$@"\n' "$folder/lib" "$folder/program" >"$folder/perf_analyzer"
chmod +x "$folder/perf_analyzer"
"$folder/perf_analyzer" --version || fail "NoProgram: $folder/perf_analyzer does not run (its message is above)"
