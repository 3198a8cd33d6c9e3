#!/usr/bin/env bash
# Runs clang-tidy on the C++ runtime by runtime/cpp/.clang-tidy; exit code 1 where it finds something.
#
#     ci/steps/clang_tidy.sh                                     all files: a quarter of an hour of two processors
#     ci/steps/clang_tidy.sh runtime/cpp/src/generation/*.cpp    these
#
# Needs CMake, Ninja, g++ and clang-tidy (Debian: clang-tidy; `pip install clang-tidy`); $CLANG_TIDY names another command.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
tidy=${CLANG_TIDY:-clang-tidy}
command -v "$tidy" >/dev/null 2>&1 || fail "NoToolchain: '$tidy' is not here: apt-get install clang-tidy, or pip install clang-tidy"
folder=build/native-tidy
mkdir -p "$folder"
# How each file is compiled, without headers compiled before, which are another compiler's.
cmake -S runtime/cpp -B "$folder" -G Ninja -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON \
    -DOVENBIRD_TESTS=ON -DOVENBIRD_STATIC_CLI=ON >"$folder/configure.log" 2>&1 \
    || { cat "$folder/configure.log" >&2; fail "BuildFailed: CMake does not configure $folder; its message is above"; }
# all but fuzz.cpp, which is compiled with libFuzzer alone
[ $# -gt 0 ] || set -- runtime/cpp/src/*/*.cpp runtime/cpp/cli/*.cpp runtime/cpp/tests/[!f]*.cpp
printf '%s\n' "$@" | xargs -P "${JOBS:-$(nproc)}" -I{} "$tidy" -p "$folder" --quiet {} 2>"$folder/tidy.log" \
    || fail "FaultFound: clang-tidy; its lines are above"
