#!/usr/bin/env bash
# Builds images, runs them (another processor's under emulation) and asks them: the tests marked `container`. Needs root.
#
#     ci/steps/container_tests.sh                                          about ten minutes on two cores
#     ci/steps/container_tests.sh tests/container/test_cuda_image.py       only these (pytest's arguments)
#     ci/steps/container_tests.sh -m slow                    ResNet50 on a hundred photographs as ARM code: half an hour
#
# Uses $VENV (default .venv); installs Debian packages (ci/steps/containers.sh) where they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/buildah.sh
ci/steps/containers.sh
[ -e "${1:-}" ] || set -- tests/container "$@"
exec "${VENV:-.venv}/bin/python" -m pytest -m "not slow" "$@"
