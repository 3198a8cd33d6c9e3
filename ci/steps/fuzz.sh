#!/usr/bin/env bash
# Fuzzes what a stranger's bytes reach first in the C++ runtime: libFuzzer, with sanitizers, on each kind of file.
#
#     ci/steps/fuzz.sh artifacts/resnet50                    20,000 inputs a kind
#     RUNS=1000000 ci/steps/fuzz.sh artifacts/resnet50       so many: 3 to 20 minutes of a processor a kind
#     ci/steps/fuzz.sh artifacts/resnet50 plan jpeg          these kinds alone
#
# It begins at the smallest files that use all there is of their kind: those of conformance/, a library that is built
# here, and the artifact's, so far as they are small (a tiny network's; one that writes text brings states and a loop). What it finds worth keeping stays in build/fuzz/KIND, so that the
# next run goes on from there. A crash, a leak or a hang (TIMEOUT_S, 30) ends it with exit code 1, the input next to it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
artifact=${1:?usage: fuzz.sh ARTIFACT [KIND...]}
shift
[ -f "$artifact/manifest.json" ] || fail "NoArtifact: '$artifact' holds no manifest.json"
ci/steps/native.sh --fuzz
MAX_BYTES=8192 # of an input: what is damaged is as damaged in a small file, and read a thousand times as often
folder=build/fuzz
seed() { # KIND FILE...; each by its digest, as libFuzzer names what it keeps
    local kind=$1 file
    shift
    mkdir -p "$folder/$kind"
    for file in "$@"; do
        [ ! -f "$file" ] || [ "$(stat -c %s "$file")" -gt "$MAX_BYTES" ] || cp "$file" "$folder/$kind/$(sha1sum <"$file" | cut -c 1-40)"
    done
}
mkdir -p "$folder"
python3 ci/steps/fuzz_seeds.py "$artifact" "$folder"
seed manifest "$folder"/manifest-*.json
seed json "$folder"/target-*.json conformance/plans/valid/*.json
seed target "$folder"/target-*.json
seed plan "$folder"/plan-*.json conformance/plans/valid/*.json
seed npz "$folder/deflated.npz" "$artifact"/evidence/golden*.npz conformance/answers/*.npz
seed jpeg conformance/pictures/*.jpg
seed png conformance/pictures/*.png
printf 'data0 4 a\n\x04\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0OVENBIRD' >"$folder/bundle.bin"
printf 'datatarget host\n0 4 manifest.json\n4 0 a/b\n\x04\0\0\0\0\0\0\0\x26\0\0\0\0\0\0\0OVENBIRD' >"$folder/named.bin"
seed bundle "$folder"/*.bin
clang=$(compgen -c clang | grep -xE 'clang(-[0-9]+)?' | sort -V | tail -n 1)
for style in gnu sysv; do
    "$clang" -Os -fPIC -shared -nostdlib -s -Wl,-z,max-page-size=4096,-z,noseparate-code,--hash-style=$style,--build-id=none \
        runtime/cpp/tests/library.c -o "$folder/$style.so"
done
seed elf "$folder"/*.so
# The words of JSON files, which chance does not find.
grep -oh '"[A-Za-z0-9_]*"' artifacts/*.schema.json conformance/plans/valid/*.json | sort -u >"$folder/words"
[ $# -gt 0 ] || set -- manifest json target plan elf npz bundle jpeg png
for kind in "$@"; do
    say "$kind"
    words=()
    case $kind in manifest | json | target | plan) words=(-dict="$folder/words") ;; esac
    FUZZ_KIND=$kind build/native-fuzz/ovenbird-fuzz "$folder/$kind" -runs="${RUNS:-20000}" -max_len=$MAX_BYTES "${words[@]}" \
        -timeout="${TIMEOUT_S:-30}" -rss_limit_mb=3000 -artifact_prefix="$folder/$kind-" -verbosity=0 -print_final_stats=1 \
        2>"$folder/$kind.log" \
        || { tail -n 40 "$folder/$kind.log" >&2; fail "FaultFound: of kind $kind; its input is $folder/$kind-*"; }
    sed -n 's/^stat::number_of_executed_units: */inputs: /p' "$folder/$kind.log"
done
