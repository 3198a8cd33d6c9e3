#!/usr/bin/env bash
# Sets up the environments, once; a second call finds them current and does nothing.
#
#     ci/steps/setup.sh compiler   .venv: the compiler and the runtime, editable
#     ci/steps/setup.sh test       .venv: the same, with the tests' tools and the benchmark's peers
#     ci/steps/setup.sh notebook   .venv: the compiler with JupyterLab
#     ci/steps/setup.sh runtime    .venv-runtime: what a target gets, and nothing else
#     ci/steps/setup.sh all        test + runtime
#
# PYTHON=/path/to/python chooses the interpreter (3.10 to 3.13). FORCE=1 installs again.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh

# What an environment depends on: the interpreter, the files that name dependencies, and more paths.
key_of() {
    {
        "$python" -VV
        find "$@" pyproject.toml ci/constraints.txt runtime/*.toml runtime/*.py -type f \
            ! -path '*/__pycache__/*' ! -path '*/lib/*' | LC_ALL=C sort -u | xargs cat
    } | sha256sum | cut -d' ' -f1
}

# current DIR NAME KEY: is the environment in DIR whole, and its stamp NAME the one of KEY?
current() {
    [ -z "${FORCE:-}" ] && [ "$(cat "$1/.ovenbird-$2" 2>/dev/null)" = "$3" ] \
        && "$1/bin/python" -c '' 2>/dev/null
}

# create DIR: an empty environment, unless DIR holds a working one of the same Python.
create() {
    local version='import sys; print(sys.version_info[:3], sys.implementation.name)'
    if [ "$("$1/bin/python" -c "$version" 2>/dev/null)" != "$("$python" -c "$version")" ]; then
        say "creating $1 ($("$python" -V))"
        rm -rf "$1"
        "$python" -m venv "$1" || fail "NoVenv: $python -m venv $1 failed; install the venv module" \
            "(Debian: apt-get install python3-venv)"
    fi
}

install() { # install DIR ARGUMENTS...
    local dir=$1 quiet=-qq
    shift
    # A person sees pip's progress; a log gets its errors.
    [ -t 1 ] && quiet=
    "$dir/bin/python" -m pip install --disable-pip-version-check --timeout 30 --retries 2 \
        $quiet --constraint ci/constraints.txt "$@" \
        || fail "InstallFailed: pip could not install into $dir (its message is above);" \
            "check the network and the package index, then run 'make setup' again"
}

setup_compiler() {
    local key
    key=$(key_of)
    # The environment for the tests holds everything the compiler needs.
    current .venv test "$key" || current .venv compiler "$key" && return
    create .venv
    say "installing the compiler into .venv (torch and TVM: 0.3 to 3 GB to fetch, some minutes)"
    install .venv --editable ./runtime --editable .
    echo "$key" >.venv/.ovenbird-compiler
}

setup_test() {
    local key
    key=$(key_of)
    current .venv test "$key" && return
    create .venv
    say "installing the compiler, the tests' tools and the peers into .venv (some minutes)"
    install .venv --editable './runtime[serve,grpc,load]' --editable '.[test,peers]'
    # PP-OCRv4 as ONNX, for its files alone: what it requires would replace OpenCV's headless build.
    install .venv --no-deps rapidocr-onnxruntime==1.4.4
    echo "$key" >.venv/.ovenbird-test
}

setup_notebook() {
    local key
    setup_compiler
    key=$(key_of)
    current .venv notebook "$key" && return
    say "installing JupyterLab into .venv"
    install .venv --editable ./runtime --editable '.[notebook]'
    echo "$key" >.venv/.ovenbird-notebook
}

setup_runtime() {
    local key
    # Not editable: a target gets a built distribution, so the sources are part of the key.
    key=$(key_of runtime/ovenbird_runtime)
    current .venv-runtime runtime "$key" && return
    create .venv-runtime
    say "installing the runtime, alone, into .venv-runtime"
    install .venv-runtime ./runtime
    echo "$key" >.venv-runtime/.ovenbird-runtime
}

shopt -s nullglob
python=$(find_python)
for part in "${@:-all}"; do
    case $part in
        runtime) setup_runtime ;;
        compiler | test | notebook)
            find_compiler >/dev/null
            "setup_$part"
            ;;
        all)
            find_compiler >/dev/null
            setup_test
            setup_runtime
            ;;
        *) fail "UnknownPart: '$part'; one of compiler, test, notebook, runtime, all" ;;
    esac
done
say "environments are ready"
