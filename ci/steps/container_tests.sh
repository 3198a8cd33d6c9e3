#!/usr/bin/env bash
# Builds images, runs them (another processor's under emulation) and asks them: the tests marked `container`. Needs root.
#
#     ci/steps/container_tests.sh [PYTEST'S ARGUMENTS]       about ten minutes on two cores
#
# Uses $VENV (default .venv); installs Debian packages (ci/steps/containers.sh) where they are missing.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/buildah.sh
ci/steps/containers.sh
exec "${VENV:-.venv}/bin/python" -m pytest tests/container "$@"
