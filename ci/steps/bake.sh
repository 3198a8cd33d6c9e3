#!/usr/bin/env bash
# Bakes the image of one target's artifact into build/ci/images/TARGET.tar (a docker-archive, with TARGET.json and
# TARGET.cdx.json next to it), or takes it from the cache where its key is the same.
#
#     ci/steps/bake.sh TARGET             settings: ci/steps/pipeline.sh; BASE=, TOOLS_BASE= name other bases
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
cell_target "$@"
alone
need_compiler
artifact=$(artifact_of "$target")
archive=$(archive_of "$target")
[ -f "$artifact/manifest.json" ] || fail "NoArtifact: $artifact is not there; run ci/steps/compile.sh $target"
mkdir -p "$(dirname "$archive")"
# an image holds the signatures that lie in its artifact; the same key signs the same bytes the same way
[ -z "$SIGNING_KEY" ] || ovenbird sign "$artifact" --key "$SIGNING_KEY"
made=("$archive" "${archive%.tar}.json" "${archive%.tar}.cdx.json")

key=$(image_key "$target")
cached=$work/cache/$target/images/$key
if [ -f "$cached/$target.tar" ]; then
    cp "$cached"/* "$(dirname "$archive")/"
    say "$target: unchanged, image ${key:0:12} is in the cache"
    exit
fi
rm -f "${made[@]}"
case $BASES in
    registry) ;;
    debian)
        ci/steps/containers.sh
        BASE=$(ci/steps/base_image.sh "$(arch_of "$target")")
        case $(uname -m) in x86_64) builder_arch=amd64 ;; *) builder_arch=arm64 ;; esac
        TOOLS_BASE=$(ci/steps/base_image.sh "$builder_arch" tools)
        ;;
    *) fail "UnknownBases: BASES=$BASES; one of registry, debian" ;;
esac
say "$target: baking image ${key:0:12}"
ovenbird bake "$artifact" --target "$target" --tag "ovenbird/$name:$target" --label "ovenbird.key=$key" \
    ${BASE:+--build-arg "BASE=$BASE"} ${TOOLS_BASE:+--build-arg "TOOLS_BASE=$TOOLS_BASE"} ${BUILDER:+--builder "$BUILDER"} \
    --archive "$archive" --sbom "${archive%.tar}.cdx.json" --json >"${archive%.tar}.json"
keep "$cached" "${made[@]}"
"$python" -c 'import json, sys; r = json.load(open(sys.argv[1])); mb = lambda n: f"{r[n] / 1e6:.1f} MB"
print(r["image"], "on", r["platform"], "is", mb("size_bytes"), "- without base and weights", mb("own_bytes"))' "${archive%.tar}.json"
