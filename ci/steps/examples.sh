#!/usr/bin/env bash
# Runs the examples with the engines that they are for, in an environment of their own (0.9 GB).
#
#     ci/steps/examples.sh            installs what is missing into .venv-examples, then runs tests/examples
#     ci/steps/examples.sh install    installs only: CI does it while other steps run; the suite finds it there
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
python=$(find_python)
env=.venv-examples
key=$({ "$python" -VV; cat examples/*.txt runtime/pyproject.toml; } | sha256sum | cut -d' ' -f1)
if [ "$(cat $env/.ovenbird-examples 2>/dev/null)" != "$key" ]; then
    say "installing the examples' engines into $env"
    rm -rf $env
    "$python" -m venv $env
    # the checkout's runtime, as it stands: examples are tested with what is here
    $env/bin/python -m pip install --disable-pip-version-check --no-compile -qq --constraint examples/constraints.txt \
        --editable ./runtime --requirement examples/requirements.txt \
        || fail "InstallFailed: pip could not install the engines (its message is above)"
    echo "$key" >$env/.ovenbird-examples
fi
[ "${1:-}" = install ] || exec ci/steps/test.sh tests/examples
