#!/usr/bin/env bash
# Builds the C++ runtime and its tests into build/native: libovenbird.a, ovenbird-run, ovenbird-tests ...
#
#     ci/steps/native.sh                         build; nothing is done where nothing changed
#     ci/steps/native.sh --test                  and run its tests (ctest)
#     ci/steps/native.sh --sanitize thread       into build/native-thread; or address,undefined
#     ci/steps/native.sh --fuzz                  by clang for libFuzzer, into build/native-fuzz, with address,undefined
#     ci/steps/native.sh --cross aarch64         for another architecture, into build/native-aarch64 (qemu-user runs it)
#     ci/steps/native.sh --need                  say what is missing (exit code 1), build nothing
#
# Needs g++ (or clang++ by CXX), CMake, Ninja and libjpeg-turbo; installs Debian's packages where they are missing, which needs root.
# JOBS=1 compiles one file at a time.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
sanitize='' run_tests='' need='' cross='' fuzz=''
while [ $# -gt 0 ]; do
    case $1 in
        --test) run_tests=1 ;;
        --need) need=1 ;;
        --fuzz) fuzz=1 ;;
        --cross)
            cross=${2:?usage: native.sh --cross aarch64}
            [ "$cross" = aarch64 ] || fail "UnknownMachine: '$cross', known is aarch64"
            shift
            ;;
        --sanitize)
            sanitize=${2:?usage: native.sh --sanitize thread|address,undefined}
            shift
            ;;
        *) fail "UnknownOption: '$1'; one of --test, --sanitize KIND, --fuzz, --cross ARCH, --need" ;;
    esac
    shift
done

missing=()
if [ -n "$fuzz" ]; then
    CXX=$(compgen -c clang++ | sort -V | tail -n 1) || CXX=''
    CXX=${CXX:-clang++}
    # libFuzzer and the sanitizers are a package of their own.
    echo 'extern "C" int LLVMFuzzerTestOneInput(const char *, unsigned long) { return 0; }' \
        | "$CXX" -fsanitize=fuzzer,address -x c++ - -o /dev/null >/dev/null 2>&1 || missing+=(clang libclang-rt-dev)
fi
command -v "${CXX:-g++}" >/dev/null 2>&1 || missing+=(g++)
command -v cmake >/dev/null 2>&1 || missing+=(cmake)
command -v ninja >/dev/null 2>&1 || missing+=(ninja-build)
printf '#include <stdio.h>\n#include <jpeglib.h>\n' | "${CXX:-g++}" -E -x c++ - >/dev/null 2>&1 || missing+=(libjpeg-dev)
if [ ${#missing[@]} -gt 0 ]; then
    [ -z "$need" ] || fail "NoToolchain: the C++ runtime needs ${missing[*]}"
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || fail "NoToolchain: run as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}" >&2
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 \
        || fail "InstallFailed: apt-get install ${missing[*]} (its message is above); check the package mirror"
fi
[ -z "$need" ] || exit 0

if [ -n "$fuzz" ]; then
    CXX=$(compgen -c clang++ | sort -V | tail -n 1)
    sanitize=address,undefined
fi
folder=build/native${fuzz:+-fuzz}
[ -n "$fuzz" ] || folder+=${sanitize:+-${sanitize/,/-}}${cross:+-$cross}
log=$folder/build.log
mkdir -p "$folder"
# One build at a time: tests that run side by side ask for it at once.
exec 9>"$folder/lock"
flock 9
options=(-DOVENBIRD_TESTS=ON)
targets=()
if [ -n "$cross" ]; then
    ci/steps/cross_toolchain.sh >&2
    # libjpeg-turbo of that architecture: Debian's package, unpacked and not configured.
    libraries=build/native-libraries-$cross
    if [ ! -d "$libraries" ]; then
        if ! command -v mmdebstrap >/dev/null 2>&1; then
            [ "$(id -u)" = 0 ] || fail "NoToolchain: run as root: apt-get install mmdebstrap"
            say "installing mmdebstrap" >&2
            apt-get update -qq >&2
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mmdebstrap >&2 \
                || fail "InstallFailed: apt-get install mmdebstrap (its message is above); check the package mirror"
        fi
        say "fetching libjpeg-turbo for $cross" >&2
        rm -rf "$libraries.part"
        mmdebstrap --quiet --mode=root --variant=extract --architectures=arm64 --include=libjpeg62-turbo-dev \
            "${RELEASE:-bookworm}" "$libraries.part" >&2 \
            || fail "RootFailed: mmdebstrap could not fetch libjpeg62-turbo-dev (its message is above); check the mirror"
        # Its own headers alone: those of the C library are the compiler's.
        mkdir "$libraries.part/headers"
        (cd "$libraries.part/usr/include" && cp jpeglib.h jmorecfg.h jerror.h "$cross-linux-gnu/jconfig.h" ../../headers/)
        mv "$libraries.part" "$libraries"
    fi
    inside=$PWD/$libraries
    options+=(-DOVENBIRD_UNITY=ON -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR="$cross" -DCMAKE_BUILD_TYPE=MinSizeRel)
    options+=(-DCMAKE_EXE_LINKER_FLAGS=-static) # the emulator needs no libraries of that architecture then
    options+=(-DCMAKE_C_COMPILER="$cross-linux-gnu-gcc" -DCMAKE_CXX_COMPILER="$cross-linux-gnu-g++" -DOVENBIRD_STATIC_CLI=ON)
    options+=(-DJPEG_INCLUDE_DIR="$inside/headers" -DJPEG_LIBRARY="$inside/usr/lib/$cross-linux-gnu/libjpeg.a")
elif [ -n "$sanitize" ]; then
    options+=(-DOVENBIRD_SANITIZE="$sanitize" -DOVENBIRD_UNITY=ON)
    if [ -n "$fuzz" ]; then
        options+=(-DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O2 -g1" -DOVENBIRD_FUZZERS=ON)
        targets=(ovenbird-fuzz)
    else # what tests/native runs with sanitizers, for seconds; to optimise it takes minutes, and hides what is undefined
        options+=(-DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS="-O0 -g1")
    fi
    targets=(--target ovenbird-tests ovenbird-run ovenbird-sessions ovenbird-mutants "${targets[@]}")
else
    options+=(-DCMAKE_BUILD_TYPE=MinSizeRel -DOVENBIRD_STATIC_CLI=ON)
fi
{
    cmake -S runtime/cpp -B "$folder" -G Ninja "${options[@]}" ${CXX:+-DCMAKE_CXX_COMPILER="$CXX"}
    cmake --build "$folder" "${targets[@]}" ${JOBS:+--parallel "$JOBS"}
} >"$log" 2>&1 || {
    cat "$log" >&2
    fail "BuildFailed: the C++ runtime does not build in $folder; the compiler's message is above"
}
[ -z "$run_tests" ] || ctest --test-dir "$folder" --output-on-failure
