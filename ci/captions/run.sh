#!/usr/bin/env bash
# Captions under load, whole: GIT base compiled for this machine, served by us and by transformers behind FastAPI, asked by
# Apache's `ab`; before that its programs against torch and ONNX Runtime. Some twenty minutes on a Zen 5 of two processors,
# an hour or more on a Zen 3.
#
#     ci/captions/run.sh [PHOTO.jpg]        default: the photograph that the compiler verifies with
#
# Writes docs/benchmarks/captions.md and its plots. WEIGHTS=FOLDER|random:SEED (default random:7).
# PRECISION=f32|f16|bf16|int8 (default: bf16 where this machine multiplies it, f16 elsewhere); INT8_PROGRAMS=step,... for
# int8. Programs run by the native engine, where a C++ compiler is there to build it.
# REQUESTS=32,256 CONCURRENCY=1,8,16,64 SWEEP=1,2,4,8,16,32,64. What is in build/captions/PRECISION is not measured again:
# stopped, it goes on where it was; SECONDS_EACH=500 stops it by itself (exit code 75). AGAIN=1 begins anew.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=${VENV:-.venv}/bin/python
photo=${1:-compile/ovenbird/data/chelsea.jpg}
weights=${WEIGHTS:-random:7}
precision=${PRECISION:-$("$python" -c '
from ovenbird.backends.table import BACKENDS
from ovenbird.targets import load_target
host = load_target("host")
print("f16" if BACKENDS[host.kind].lacks(host, "bf16") else "bf16")')}
work=build/captions/$precision
artifact=$work/git_base_textcaps

ci/load/tools.sh
use_native_engine build/captions/native || say "captions run by TVM's engine"
mkdir -p "$work"
[ -z "${AGAIN:-}" ] || rm -f "$work/load.json"
if [ ! -d "$artifact" ]; then
    say "compiling git-base-textcaps in $precision"
    "$python" -m ovenbird compile git-base-textcaps --weights "$weights" --precision "$precision" -o "$artifact" -q \
        ${INT8_PROGRAMS:+--int8-programs "$INT8_PROGRAMS"}
fi
if ! grep -qs '"programs"' "$work/load.json"; then
    say "timing its programs"
    "$python" ci/captions/programs.py "$artifact" --weights "$weights" -o "$work"
fi
say "asking the servers for $photo"
"$python" ci/captions/load.py "$artifact" --peer "$weights" --image "$photo" --page docs/benchmarks/captions.md -o "$work" \
    --requests "${REQUESTS:-32,256}" --concurrency "${CONCURRENCY:-1,8,16,64}" --sweep "${SWEEP:-1,2,4,8,16,32,64}" \
    ${SECONDS_EACH:+--seconds "$SECONDS_EACH"}
