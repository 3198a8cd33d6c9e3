#!/usr/bin/env bash
# Pushes the image of one target to $REGISTRY and writes its name by digest to build/ci/images/TARGET.digest.
#
#     REGISTRY=registry.example.org/vision ci/steps/publish.sh TARGET
#
# Without REGISTRY it says so and pushes nothing. Credentials: `skopeo login`, or REGISTRY_AUTH_FILE. INSECURE=1 allows a
# registry without TLS. The tag is the target and the image's key: a name that is never moved.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
cell_target "$@"
archive=$(archive_of "$target")
[ -f "$archive" ] || fail "NoImage: $archive is not there; run ci/steps/bake.sh $target"
if [ -z "$REGISTRY" ]; then
    say "$target: not published: no REGISTRY is set"
    exit
fi
command -v skopeo >/dev/null 2>&1 || ci/steps/containers.sh
key=$(image_key "$target")
image=$REGISTRY/ovenbird/$name
skopeo copy --quiet --digestfile "${archive%.tar}.sha256" ${INSECURE:+--dest-tls-verify=false} \
    "docker-archive:$archive" "docker://$image:$target-${key:0:12}" \
    || fail "PushFailed: $image:$target-${key:0:12} was refused (skopeo's message is above); log in (skopeo login) or set" \
        "INSECURE=1 for a registry without TLS"
echo "$image@$(cat "${archive%.tar}.sha256")" >"${archive%.tar}.digest"
say "$target: published $(cat "${archive%.tar}.digest")"
