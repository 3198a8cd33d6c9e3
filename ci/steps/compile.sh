#!/usr/bin/env bash
# Compiles $MODEL for one target into build/ci/artifacts/TARGET, or takes it from the cache where its key is the same.
#
#     ci/steps/compile.sh TARGET          settings: ci/steps/pipeline.sh
#
# TRIALS=N tunes first where this machine runs the target; the log stays in the cache and the next run goes on with it.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
cell_target "$@"
alone
need_compiler
output=$(artifact_of "$target")
weights=(${WEIGHTS:+--weights "$WEIGHTS"})
records=()

runs_here='import json, sys; sys.exit(not json.load(sys.stdin)["here"]["runs"])'
if [ "$TRIALS" -gt 0 ] && ! ovenbird targets "$target" --json | "$python" -c "$runs_here"; then
    say "$target: not tuned, this machine does not run it"
elif [ "$TRIALS" -gt 0 ]; then
    say "tuning $MODEL for $target"
    ovenbird tune "$MODEL" --target "$target" --trials "$TRIALS" --batch-sizes "$BATCH_SIZES" "${weights[@]}" \
        --output "$(tuning_of "$target")"
    records=(--tuning-records "$(tuning_of "$target")")
fi
case $(arch_of "$target")-$(uname -m) in
    arm64-x86_64 | amd64-aarch64) ci/steps/cross_toolchain.sh ;;
esac
find_nvcc='import ovenbird.backends.cuda.toolchain as toolchain; toolchain.find_nvcc()'
if [ "$(field_of "$target" kind)" = cuda ] && ! "$python" -c "$find_nvcc" 2>/dev/null; then
    say "$target: installing nvcc"
    "$python" -m pip install --disable-pip-version-check -qq --constraint ci/constraints.txt --editable '.[cuda]' \
        || fail "InstallFailed: pip could not install nvcc (its message is above); check the package index, or install CUDA 13"
fi
key=$(artifact_key "$target")
cached=$work/cache/$target/artifacts/$key
rm -rf "$output"
mkdir -p "$(dirname "$output")"
if [ -f "$cached/artifact/manifest.json" ]; then
    cp -r "$cached/artifact" "$output"
    say "$target: unchanged, artifact ${key:0:12} is in the cache"
else
    say "$target: compiling $MODEL, artifact ${key:0:12}"
    ovenbird compile "$MODEL" --target "$target" --batch-sizes "$BATCH_SIZES" "${weights[@]}" "${records[@]}" \
        --output "$work/artifact-$target/artifact"
    cp -r "$work/artifact-$target/artifact" "$output"
    keep "$cached" "$work/artifact-$target/artifact"
    rm -rf "$work/artifact-$target"
fi
echo "$key" >"$output.key"
say "$target: manifest sha256 $(sha256sum "$output/manifest.json" | cut -c1-12)"
