# Shared by the steps: messages, and the tools of this machine. Sourced, never run.
#
#     . ci/steps/common.sh
#     python=$(find_python)

say() { echo "== $*"; }

fail() { # one line: what, the value, the fix
    echo "error: $*" >&2
    exit 1
}

# use_native_engine FOLDER: has $python run artifacts by the native engine, from a folder of its own: in the environment,
# tests would run by it, too. False where there is no C++ compiler to build it.
use_native_engine() {
    local wheel
    wheel=$(ci/steps/native_wheel.sh "$python") || return 1
    "$python" -m pip install --quiet --disable-pip-version-check --no-deps --no-index --upgrade --target "$1" "$wheel"
    export PYTHONPATH=$PWD/$1
}

version_of() { command -v "$1" >/dev/null 2>&1 && "$1" -V 2>&1 || echo "not there"; }

# Prints a Python that we support: $PYTHON, or the first of the usual names.
find_python() {
    local candidate
    local supported='import sys; sys.exit(not (3, 10) <= sys.version_info < (3, 14))'
    if [ -n "${PYTHON:-}" ]; then
        "$PYTHON" -c "$supported" 2>/dev/null \
            || fail "NoPython: PYTHON=$PYTHON is $(version_of "$PYTHON"), need 3.10 to 3.13"
        echo "$PYTHON"
        return
    fi
    for candidate in python3 python3.13 python3.12 python3.11 python3.10 python; do
        # A name may exist and not run (a pyenv shim), so run it.
        if "$candidate" -c "$supported" 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    fail "NoPython: found no Python 3.10 to 3.13 (python3 is $(version_of python3));" \
        "install one or name it: make PYTHON=/path/to/python3.12 ..."
}

# Prints the C compiler that TVM links artifacts with.
find_compiler() {
    local candidate
    for candidate in ${CC:+"$CC"} cc gcc clang; do
        if command -v "$candidate" >/dev/null 2>&1; then
            echo "$candidate"
            return
        fi
    done
    fail "NoCompiler: found no C compiler (CC=${CC:-unset}, cc, gcc, clang); install one" \
        "(Debian: apt-get install gcc g++)"
}
