#!/bin/sh
# Format, lint, types, import rules: the fast checks, cheapest first; all of them run, so that one call shows
# everything there is to fix. Uses the tools of $VENV (default .venv).    ci/steps/lint.sh [--fix]
set -u
cd "$(dirname "$0")/../.." || exit 1
. ci/steps/common.sh
bin="${VENV:-.venv}/bin"
export PYTHONPATH="compile:runtime${PYTHONPATH:+:$PYTHONPATH}"

if [ "${1:-}" = --fix ]; then
    "$bin/ruff" check --quiet --fix .
    "$bin/ruff" format .
fi

failed=
check() { # check NAME COMMAND...
    name=$1
    shift
    say "$name"
    "$@" || failed="$failed, $name"
}
no_conflict_is_left() { # a merge's markers in any file, text too
    ! git grep -nE '^(<{7}|>{7}) '
}
check merges no_conflict_is_left
check format "$bin/ruff" format --check --quiet .
check lint "$bin/ruff" check --output-format concise .
check types "$bin/mypy"
check "import rules" "$bin/lint-imports" --no-logo
[ -z "$failed" ] || fail "ChecksFailed: ${failed#, }; their reports are above ('make format' mends format and some of lint)"
