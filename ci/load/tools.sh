#!/usr/bin/env bash
# What a load test needs next to the compiler: Apache's `ab` (as root, where it is missing), and the servers that ours is
# compared with (requirements.txt) in $VENV (default .venv).    ci/load/tools.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
if ! command -v ab >/dev/null; then
    [ "$(id -u)" = 0 ] || fail "NoAb: Apache's ab is not here; run as root: apt-get install apache2-utils"
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq apache2-utils >/dev/null
fi
"${VENV:-.venv}/bin/python" -m pip install -qq --disable-pip-version-check --constraint ci/constraints.txt \
    --requirement ci/load/requirements.txt \
    || fail "InstallFailed: the other servers could not be installed (pip's message is above); check the package index"
