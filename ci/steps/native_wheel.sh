#!/usr/bin/env bash
# Builds the wheel of `ovenbird-native` into dist/, for one Python, and prints its path.
#
#     ci/steps/native_wheel.sh                   for the Python that setup would choose
#     ci/steps/native_wheel.sh /path/to/python   for that one; from 3.12 on the wheel fits later ones as well
#     ci/steps/native_wheel.sh --need            say what is missing (exit code 1), build nothing
#
# Needs what native.sh needs, and pip's index for scikit-build-core and nanobind.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
if [ "${1:-}" = --need ]; then
    exec ci/steps/native.sh --need
fi
python=${1:-$(find_python)}
command -v cmake >/dev/null 2>&1 && command -v ninja >/dev/null 2>&1 || fail "NoToolchain: apt-get install cmake ninja-build"
jpeg=$(ci/steps/jpeg_source.sh)
tag=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
folder=build/native-wheel-$tag
mkdir -p dist "$folder"
exec 9>"$folder/lock"
flock 9
rm -f "$folder"/*.whl
{
    # An environment that stays: the next build compiles what has changed alone.
    if [ ! -x "$folder/env/bin/python" ]; then
        "$python" -m venv "$folder/env"
        "$folder/env/bin/python" -m pip install --quiet 'scikit-build-core>=0.11,<2' 'nanobind>=2.9,<4'
    fi
    "$folder/env/bin/python" -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir "$folder" ./runtime/native \
        --config-settings=build-dir="$PWD/$folder/cmake" --config-settings=cmake.define.OVENBIRD_JPEG_SOURCE="$jpeg"
} >"$folder/build.log" 2>&1 || {
    cat "$folder/build.log" >&2
    fail "BuildFailed: the wheel of ovenbird-native does not build; the message is above"
}
wheel=$(ls "$folder"/*.whl)
cp "$wheel" dist/
echo "dist/${wheel##*/}"
