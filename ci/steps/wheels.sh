#!/usr/bin/env bash
# Builds both distributions and uses them as somebody does who has only the wheels: in clean environments.
#
#     ci/steps/wheels.sh                   the runtime on every Python from 3.10 to 3.13 that is here: inspect, run, bench,
#                                          serve and its page; a minute for each
#     ci/steps/wheels.sh compiler 3.12     the compiler too, on this Python, with the newest torch of its range: compile,
#                                          verify, tune, what bake builds from; some GB to fetch, minutes
#
# Pythons are looked for on PATH and below $PYENV_ROOT; a missing one is named. The artifact that the runtimes run is made
# by $VENV (default .venv). pip's own settings say where packages come from.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
own=$PWD/${VENV:-.venv}/bin/python
[ -x "$own" ] || fail "NoVenv: ${VENV:-.venv} is not there; make setup"
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

python_of() { # python_of VERSION: prints the interpreter of that version, or nothing
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1".*/bin/python; do
        # a name may exist and not run (a pyenv shim)
        if [ "$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$1" ]; then
            echo "$candidate"
            return
        fi
    done
}

clean() { # clean FOLDER VERSION WHEEL...: an environment with these and what they need
    "$(python_of "$2")" -m venv "$1"
    "$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:3}" \
        || fail "InstallFailed: pip could not install $(basename "$3") on Python $2 (its message is above)"
}

build() { # build TARGET SOURCES FOLDER
    (cd "$2" && "$work/build/bin/python" -m hatchling build -t "$1" -d "$3") >"$work/said" 2>&1 \
        || fail "BuildFailed: hatchling could not build $2: $(tail -n 1 "$work/said")"
}

page_of() { # page_of FOLDER: serves the artifact with the environment there, and asks for its page
    "$1/bin/ovenbird-rt" serve "$work/artifact" --port 0 2>"$work/log" &
    server=$!
    "$1/bin/python" - "$work/log" <<'PYTHON'
import json, sys, time, urllib.request
deadline = time.monotonic() + 60
while time.monotonic() < deadline:
    ready = [each for each in map(json.loads, open(sys.argv[1])) if each["event"] == "ready"]
    if ready:
        with urllib.request.urlopen(ready[0]["url"], timeout=10) as answer:
            assert answer.status == 200 and b"<html" in answer.read(), "GET / is no page"
        break
    time.sleep(0.1)
else:
    sys.exit("the server is not ready after 60 s: " + open(sys.argv[1]).read())
PYTHON
    kill "$server"
    wait "$server"
    server=
}

quietly() { # quietly COMMAND...: shows what it printed where it fails
    "$@" >"$work/said" 2>&1 || fail "CommandFailed: ${*##*/}: $(tail -n 1 "$work/said")"
}

try_runtime() { # try_runtime FOLDER: everything a target does
    local answer
    cd "$work" # not in the clone, which must play no part
    quietly "$1/bin/ovenbird-rt" --version
    quietly "$1/bin/ovenbird-rt" inspect "$work/artifact"
    quietly "$1/bin/ovenbird-rt" selftest "$work/artifact"
    quietly "$1/bin/ovenbird-rt" run "$work/artifact" "$work/photo.jpg" --preprocess imagenet
    quietly "$1/bin/ovenbird-rt" bench "$work/artifact" --iterations 3
    if [ -n "${2:-}" ]; then
        page_of "$1"
    else
        answer=$("$1/bin/ovenbird-rt" serve "$work/artifact" 2>&1) && fail "NoError: serve ran without its extra"
        [[ $answer == *"pip install './runtime[serve]'"* ]] || fail "NoHint: serve without its extra says: $answer"
    fi
    cd - >/dev/null
}

try_compiler() { # try_compiler FOLDER
    local program=$1/bin/ovenbird
    cd "$work"
    cat >own.py <<'PYTHON'
import torch
def net():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Flatten()), (torch.randn(1, 3, 8, 8),)
PYTHON
    "$1/bin/python" -c 'import torch, torchvision; print("== compiler: torch", torch.__version__)'
    quietly "$program" targets host
    quietly "$program" compile own:net --batch-sizes 1 --quiet
    quietly "$program" verify artifacts/own-net --model own:net --quiet
    quietly "$program" tune own:net --trials 2 --batch-sizes 1 --quiet
    [ -d tuning_logs/host/own-net ] || fail "NoLog: an installed compiler did not write tuning_logs/ below the current folder"
    quietly "$program" compile own:net --batch-sizes 1 --quiet
    grep -q ' 0 stale' "$work/said" || fail "NoRecords: the log just written is not used: $(tail -n 1 "$work/said")"
    quietly "$program" compile resnet18 --weights random:0 --batch-sizes 1 --quiet
    "$1/bin/python" - <<'PYTHON'
import torch
program = torch.export.export(torch.nn.Linear(4, 2), (torch.randn(2, 4),), dynamic_shapes=({0: torch.export.Dim("b", min=1, max=8)},))
torch.export.save(program, "linear.pt2")
from ovenbird.baking.context import find_sources, prepared
with prepared(find_sources(), None, "") as context:
    assert (context.folder / "runtime/hatch_build.py").is_file() and (context.folder / "ci/constraints.txt").is_file()
PYTHON
    quietly "$program" compile linear.pt2 --batch-sizes 1 --quiet
    cd - >/dev/null
}

say "building the distributions"
"$own" -m venv "$work/build"
"$work/build/bin/python" -m pip install --quiet --disable-pip-version-check 'hatchling>=1.27,<2'
build sdist runtime "$work/sdist"
build wheel runtime "$work/wheels"
build wheel . "$work/wheels"
runtime=$(echo "$work"/wheels/ovenbird_runtime-*.whl)
compiler=$(echo "$work"/wheels/ovenbird-*.whl)
mkdir "$work/from-sdist"
tar xf "$work"/sdist/*.tar.gz -C "$work/from-sdist" --strip-components 1
cp -r runtime/ovenbird_runtime/lib "$work/from-sdist/ovenbird_runtime/" # or it would be fetched
build wheel "$work/from-sdist" "$work/again"
files() { "$own" -c 'import sys, zipfile; print("\n".join(sorted(zipfile.ZipFile(sys.argv[1]).namelist())))' "$1"; }
diff <(files "$runtime") <(files "$work"/again/*.whl) || fail "FilesDiffer: the runtime's wheel from its sdist has other files (above)"

say "compiling the artifact that they run"
(cd tests/e2e && "$own" -W ignore -m ovenbird compile networks:images --batch-sizes 1,2 --quiet --output "$work/artifact")
cp compile/ovenbird/data/rocket.jpg "$work/photo.jpg"

for version in 3.10 3.11 3.12 3.13; do
    if [ -z "$(python_of $version)" ]; then
        say "runtime: Python $version: left out, it is not here"
        continue
    fi
    clean "$work/$version" $version "$runtime"
    try_runtime "$work/$version"
    clean "$work/$version-serve" $version "${runtime}[serve]"
    try_runtime "$work/$version-serve" serve
    say "runtime: Python $version: runs and serves"
done
[ "${1:-}" = compiler ] || exit 0
version=${2:-3.12}
[ -n "$(python_of "$version")" ] || fail "NoPython: Python $version is not here; name another: ci/steps/wheels.sh compiler 3.11"
say "compiler: Python $version: installing (torch and TVM)"
clean "$work/compiler" "$version" "$runtime" "$compiler"
try_compiler "$work/compiler"
say "compiler: Python $version: compiles, verifies and tunes"
