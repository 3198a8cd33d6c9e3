#!/usr/bin/env bash
# Runs a step with the words of a setting as its arguments.
#
#     TESTS='tests/unit -k "not slow"' ci/steps/with_words.sh TESTS ci/steps/test.sh
#     DEPLOY_TARGETS='x86-64-v3 cuda-sm90' ci/steps/with_words.sh DEPLOY_TARGETS ci/steps/deploy.sh
#
# Whoever starts a pipeline writes the setting. Words end at white space, and quotes keep a word together, as in a shell;
# but nothing is expanded: `*`, `$(...)` and `;` stay as they are.
set -euo pipefail
words=()
if [ -n "${!1:-}" ]; then
    # xargs reads quotes and runs nothing but the printf that it is given
    mapfile -d '' words < <(printf '%s' "${!1}" | xargs -r printf '%s\0' 2>/dev/null) && wait "$!" \
        || { echo "error: WrongSetting: $1='${!1}' has a quote that does not end" >&2; exit 1; }
fi
exec "${@:2}" "${words[@]}"
