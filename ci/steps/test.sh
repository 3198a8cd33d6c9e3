#!/usr/bin/env bash
# Runs the tests, some groups at a time, each group in a process of its own: the compiler's TVM and the runtime's are
# two copies of one library, which must never meet in one process.
#
#     ci/steps/test.sh                     every folder under tests/, without what this machine may not be able to do
#     SLOW=1 ci/steps/test.sh              the tests marked slow as well, as CI does
#     JOBS=1 ci/steps/test.sh              one group at a time, each printed as it goes; else one more than cores, to 4
#     ci/steps/test.sh --list              the same, as a list: `run GROUP: FILES` and `left out: WHAT: WHY: COMMAND`
#     ci/steps/test.sh tests/unit/x -k y   only these, in one process (pytest's arguments)
#
# A folder with tests is a group, a new one too; those of a package's unit tests (tests/unit/runtime) are one, but for
# those in `apart`. Tests marked alone, which measure or hold a clock to something, run when nothing else does.
# Uses $VENV (default .venv).
set -uo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
pytest=("${VENV:-.venv}/bin/python" -m pytest)
cores=$(nproc)
jobs=${JOBS:-$((cores < 3 ? cores + 1 : 4))} # those that talk to a server mostly wait
chosen="not load"
left_for_later="load|alone" # marks by which pytest may find nothing to run in a group
[ -n "${SLOW:-}" ] || chosen+=" and not slow" left_for_later+="|slow"

# PATH: WHY: COMMAND
left_out=(
    "tests/container: needs root and buildah, takes ten minutes: ci/steps/container_tests.sh"
    "tests/gpu: needs an NVIDIA GPU and its driver: make test TESTS=\"tests/gpu -m gpu -s\""
    "tests marked load: put minutes of load on this machine: make test TESTS=\"tests/load -m load\""
)
[ -n "${SLOW:-}" ] || left_out+=(
    "tests/native: builds the C++ runtime, a minute of processor: make test SLOW=1"
    "tests marked slow: narrow instruction sets, real weights, tuning, long sweeps: make test SLOW=1"
)

# Groups of their own within a package's unit tests.
apart=(unit/compile/backends/cpu unit/compile/backends/cuda)
# What starts first: what fails soonest, then what takes longest: no core waits for a long group at the end.
first=(contract unit/compile/backends/cpu e2e unit/compile native unit/compile/backends/cuda e2e/serve bench)
first+=(security/serve e2e/notebooks e2e/captions)

# Prints every folder that holds tests.
folders() { find tests -name 'test_*.py' -printf '%h\n' | LC_ALL=C sort -u; }

# Prints the group of a folder.
group_of() {
    local name=${1#tests/} one
    for one in "${apart[@]}"; do
        [[ $name/ == "$one"/* ]] && echo "$one" && return
    done
    [[ $name == unit/*/* ]] && name=unit/$(cut -d/ -f2 <<<"$name")
    echo "$name"
}

declare -A files # the test files of each group, a folder's own: a folder within it is another group
found=()
while read -r folder; do
    [[ " ${left_out[*]}" == *" $folder: "* ]] && continue
    name=$(group_of "$folder")
    [ -n "${files[$name]:-}" ] || found+=("$name")
    files[$name]+=" $(echo "$folder"/test_*.py)"
done < <(folders)
groups=() # the names, in the order in which they start
for name in "${first[@]}" "${found[@]}"; do
    [[ -n ${files[$name]:-} && " ${groups[*]} " != *" $name "* ]] && groups+=("$name")
done

tell_left_out() { printf 'left out: %s\n' "${left_out[@]}"; }

if [ "${1:-}" = --list ]; then
    for name in "${groups[@]}"; do echo "run $name:${files[$name]}"; done
    tell_left_out
    exit
fi
[ $# -gt 0 ] && exec "${pytest[@]}" "$@"

# Many hundred processes import the same modules: some environments forbid to keep them compiled.
unset PYTHONDONTWRITEBYTECODE
work=$(mktemp -d)
export OVENBIRD_TEST_RUN=$work # where processes of this run share what they compile (tests/support/tiny_artifact.py)
trap 'rm -rf "$work"' EXIT
trap 'kill $(jobs -p) 2>/dev/null; wait; exit 1' INT TERM # each lane ends its tests

# Prints those of a group's files that hold tests marked alone.
alone_in() { grep -l 'mark\.alone' ${files[$1]}; }

run() { # run NAME MARKERS FILES...: prints a group's report, whole; remembers where it fails
    local code started=$SECONDS report=$work/report.$BASHPID
    # A folder of its own: two that share pytest's sweep each other's old ones, and fail where a file is already gone.
    mkdir -p "$work/folders"
    local tests=("${pytest[@]}" --basetemp="$work/folders/${1//\//-}.$SECONDS" -m "$2" "${@:3}")
    if [ "$jobs" -gt 1 ]; then
        "${tests[@]}" >"$report" 2>&1 &
        child=$!
        wait "$child"
        code=$?
        flock "$work/lock" cat <(say "tests: $1") "$report" <(say "$1 took $((SECONDS - started)) s")
    else
        say "tests: $1"
        "${tests[@]}"
        code=$?
        say "$1 took $((SECONDS - started)) s"
    fi
    [ $code = 0 ] || { [ $code = 5 ] && grep -qE "mark\.($left_for_later)" ${files[$1]}; } || echo "$1" >>"$work/failed"
}

lane() { # lane: runs one group after the other that no lane has taken yet
    local name child=
    trap 'kill $child; exit 1' TERM
    for name in "${groups[@]}"; do
        mkdir -p "$work/taken/${name%/*}"
        mkdir "$work/taken/$name.group" 2>/dev/null && run "$name" "$chosen and not alone" ${files[$name]}
    done
}

ci/steps/kubectl.sh || say "no kubectl: the tests that render ci/k8s are skipped"
for ((n = 0; n < jobs; n++)); do lane & done
wait
jobs=1
for name in "${groups[@]}"; do
    alone=$(alone_in "$name")
    [ -z "$alone" ] || run "$name" "$chosen and alone" $alone
done
tell_left_out
if [ -s "$work/failed" ]; then
    fail "TestsFailed: group(s) $(sort -u "$work/failed" | paste -sd,); their reports are above"
fi
say "all groups passed after $SECONDS s"
