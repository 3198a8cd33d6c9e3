#!/bin/sh
# Times artifacts against ONNX Runtime, OpenVINO and torch, in alternation.    ci/steps/bench.sh MODEL... [OPTIONS]
# Uses $VENV (default .venv), which must have the peers (ci/steps/setup.sh test).
set -eu
cd "$(dirname "$0")/../.."
exec "${VENV:-.venv}/bin/ovenbird" bench "$@"
