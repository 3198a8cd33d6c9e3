#!/bin/sh
# Format, lint, types, import rules: the fast checks, in the order in which they are cheapest to fix.
# Uses the tools of $VENV (default .venv).    ci/steps/lint.sh [--fix]
set -eu
cd "$(dirname "$0")/../.."
bin="${VENV:-.venv}/bin"
PYTHONPATH="compile:runtime${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONPATH

if [ "${1:-}" = --fix ]; then
    "$bin/ruff" check --fix .
    "$bin/ruff" format .
fi
echo "== format"
"$bin/ruff" format --check .
echo "== lint"
"$bin/ruff" check .
echo "== types"
"$bin/mypy"
echo "== import rules"
"$bin/lint-imports" --no-logo 2>/dev/null || "$bin/lint-imports"
