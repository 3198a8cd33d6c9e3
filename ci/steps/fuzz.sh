#!/usr/bin/env bash
# Fuzzes what a stranger's bytes reach first in the C++ runtime: libFuzzer, with sanitizers, on each kind of file.
#
#     ci/steps/fuzz.sh artifacts/resnet50                    20,000 inputs a kind
#     RUNS=1000000 ci/steps/fuzz.sh artifacts/resnet50       so many: hours
#     ci/steps/fuzz.sh artifacts/resnet50 plan jpeg          these kinds alone
#
# The artifact's files and those of conformance/ are where it begins. What it finds worth keeping stays in
# build/fuzz/KIND, so that the next run goes on from there. A crash, a leak or a hang ends it with exit code 1, the input beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
artifact=${1:?usage: fuzz.sh ARTIFACT [KIND...]}
shift
[ -f "$artifact/manifest.json" ] || fail "NoArtifact: '$artifact' holds no manifest.json"
ci/steps/native.sh --fuzz
target=$(dirname "$(ls "$artifact"/targets/*/plan.json | head -n 1)")
seed() { # KIND FILE...
    local kind=$1
    shift
    mkdir -p "build/fuzz/$kind"
    cp "$@" "build/fuzz/$kind/"
}
seed manifest "$artifact/manifest.json"
seed json "$target/target.json"
seed target "$target/target.json"
seed plan "$target/plan.json" conformance/plans/valid/*.json
seed elf "$target/model.so"
seed npz "$artifact/evidence/golden.npz"
seed jpeg conformance/pictures/*.jpg
seed png conformance/pictures/*.png
printf 'data0 4 a\n\x04\0\0\0\0\0\0\0\x06\0\0\0\0\0\0\0OVENBIRD' >build/fuzz/whole
seed bundle build/fuzz/whole
[ $# -gt 0 ] || set -- manifest json target plan elf npz bundle jpeg png
for kind in "$@"; do
    say "$kind"
    FUZZ_KIND=$kind build/native-fuzz/ovenbird-fuzz "build/fuzz/$kind" -runs="${RUNS:-20000}" -timeout=30 -rss_limit_mb=3000 \
        -artifact_prefix="build/fuzz/$kind-" -verbosity=0 -print_final_stats=1 2>build/fuzz/$kind.log \
        || { tail -n 40 "build/fuzz/$kind.log" >&2; fail "FaultFound: of kind $kind; its input is build/fuzz/$kind-*"; }
    sed -n 's/^stat::number_of_executed_units: */inputs: /p' "build/fuzz/$kind.log"
done
