#!/usr/bin/env bash
# Runs the tests, cheapest first, each group in a process of its own: the compiler's TVM and the
# runtime's are two copies of one library, which must never meet in one process.
#
#     ci/steps/test.sh                     every folder under tests/, without what this machine may not be able to do
#     ci/steps/test.sh --list              the same, as a list: `run GROUP: FILES` and `left out: WHAT: WHY: COMMAND`
#     ci/steps/test.sh tests/unit/x -k y   only these, in one process (pytest's arguments)
#
# A folder with tests is a group, a new one too. Those of a package's unit tests (tests/unit/runtime) are one.
# Uses $VENV (default .venv).
set -uo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
pytest="${VENV:-.venv}/bin/python -m pytest"

# PATH: WHY: COMMAND
left_out=(
    "tests/container: needs root and buildah, takes ten minutes: ci/steps/container_tests.sh"
    "tests/gpu: needs an NVIDIA GPU and its driver: make test TESTS=\"tests/gpu -m gpu -s\""
    "tests marked load: put minutes of load on this machine: make test TESTS=\"tests/load -m load\""
)

# Prints every folder that holds tests, cheapest first.
folders() {
    local kind
    for kind in unit contract security bench load e2e ''; do
        find "tests/$kind" -name 'test_*.py' -printf '%h\n' 2>/dev/null | sed 's,//*,/,g' | sort -u
    done | awk '!seen[$0]++'
}

groups=()        # the names, in order
declare -A files # the test files of each, a folder's own: a folder within it is another group
while read -r folder; do
    [[ " ${left_out[*]}" == *" $folder: "* ]] && continue
    name=${folder#tests/}
    [[ $name == unit/*/* ]] && name=unit/$(cut -d/ -f2 <<<"$name")
    [ -n "${files[$name]:-}" ] || groups+=("$name")
    files[$name]+=" $(echo "$folder"/test_*.py)"
done < <(folders)

tell_left_out() { printf 'left out: %s\n' "${left_out[@]}"; }

if [ "${1:-}" = --list ]; then
    for name in "${groups[@]}"; do echo "run $name:${files[$name]}"; done
    tell_left_out
    exit
fi
[ $# -gt 0 ] && exec $pytest "$@"

ci/steps/kubectl.sh || say "no kubectl: the tests that render ci/k8s are skipped"
failed=()
for name in "${groups[@]}"; do
    say "tests: $name"
    $pytest -m "not load" ${files[$name]} || failed+=("$name")
done
tell_left_out
if [ ${#failed[@]} -gt 0 ]; then
    IFS=,
    fail "TestsFailed: group(s) ${failed[*]}; their reports are above"
fi
say "all groups passed"
