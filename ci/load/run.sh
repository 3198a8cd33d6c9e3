#!/usr/bin/env bash
# The classic load test, whole: ResNet50 compiled for this machine, served by us and by others, asked by Apache's `ab`.
#
#     ci/load/run.sh [PHOTO.jpg]        default: the photograph that the compiler verifies with; some fifteen minutes
#
# Writes docs/benchmarks/server.json, server-throughput.png and server-latency.png, and docs/benchmarks.md.
# WEIGHTS=FILE|random:SEED (default random:0: times do not depend on them). ROUNDS=3; in each of them,
# TURNS=4 of every server for every number of requests at once, of SECONDS_EACH=1 (at least 100 requests
# and three waves of them).
# PHOTOS=FOLDER of JPEGs for the server's own cost (default: the one photograph). Uses $VENV (default .venv); installs
# the other servers (requirements.txt) there, and `ab` (apache2-utils) as root where it is missing. Nothing else should
# run on the machine meanwhile.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=${VENV:-.venv}/bin/python
photo=${1:-compile/ovenbird/data/chelsea.jpg}
weights=${WEIGHTS:-random:0}
work=build/load

ci/load/tools.sh
mkdir -p "$work"
say "compiling resnet50"
"$python" -m ovenbird compile resnet50 --weights "$weights" --batch-sizes 1,2,4,8 -o "$work/resnet50" -q
"$python" ci/load/export_onnx.py resnet50 "$weights" "$work/resnet50.onnx"
say "asking the servers for $photo"
"$python" ci/load/compare.py "$work/resnet50" --image "$photo" --onnx "$work/resnet50.onnx" \
    --rounds "${ROUNDS:-3}" --turns "${TURNS:-4}" --seconds "${SECONDS_EACH:-1}" \
    ${PHOTOS:+--photos "$PHOTOS"} -o "$work"
cp "$work/results.json" docs/benchmarks/server.json
for picture in throughput latency; do cp "$work/$picture.png" "docs/benchmarks/server-$picture.png"; done
"$python" ci/steps/benchmarks.py
