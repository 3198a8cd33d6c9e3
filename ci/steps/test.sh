#!/usr/bin/env bash
# Runs the tests, cheapest first, each group in a process of its own: the compiler's TVM and the
# runtime's are two copies of one library, which must never meet in one process.
#
#     ci/steps/test.sh                     every group
#     ci/steps/test.sh tests/unit/x -k y   only these, in one process (pytest's arguments)
#
# Uses $VENV (default .venv).
set -uo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
pytest="${VENV:-.venv}/bin/python -m pytest"

[ $# -gt 0 ] && exec $pytest "$@"

shopt -s nullglob
failed=()
run_group() { # run_group NAME PATHS...
    local name=$1
    shift
    # A group without tests is no failure: folders appear as their subjects do.
    [ -n "$(find "$@" -name 'test_*.py' -print -quit 2>/dev/null)" ] || return
    say "tests: $name"
    $pytest "$@" || failed+=("$name")
}

run_group "runtime, unit" tests/unit/runtime*
run_group "compiler, unit" tests/unit/compile*
ci/steps/kubectl.sh || say "no kubectl: the tests that render ci/k8s are skipped"
run_group contract tests/contract
# Folders here differ in what they load, so each is a group of its own.
for kind in security bench e2e; do
    files=(tests/$kind/test_*.py)
    [ ${#files[@]} -eq 0 ] || run_group "$kind" "${files[@]}"
    for folder in tests/"$kind"/*/; do
        run_group "$kind, $(basename "$folder")" "$folder"
    done
done

if [ ${#failed[@]} -gt 0 ]; then
    IFS=,
    fail "TestsFailed: group(s) ${failed[*]}; their reports are above"
fi
say "all groups passed"
