#!/usr/bin/env bash
# Applies the Kubernetes overlay of each target with the image that was published for it, by digest, and waits for it.
#
#     ci/steps/deploy.sh TARGET...        NAMESPACE= (default: kubectl's own), DEPLOY_TIMEOUT=5m, DRY_RUN=1
#
# The overlay is that of the target's architecture and kind, or $OVERLAY. Names begin with the model's, so several models
# and several targets stand in one namespace. A target without a published image is left out. DRY_RUN=1 prints what would
# be applied.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
[ $# -gt 0 ] || set -- "${TARGET:-}"
[[ ${NAMESPACE:-default} =~ ^[a-z0-9]([a-z0-9-]*[a-z0-9])?$ ]] \
    || fail "WrongNamespace: NAMESPACE='$NAMESPACE'; lower-case letters, digits and dashes (RFC 1123)"

deploy() {
    local published overlay kind=cpu image folder instance
    published=$(archive_of "$target")
    published=${published%.tar}.digest
    [ "$(field_of "$target" kind)" != cuda ] || kind=gpu
    overlay=${OVERLAY:-$(arch_of "$target")-$kind}
    if [ ! -f "$published" ]; then
        say "$target: not deployed: no image was published"
        return
    fi
    [ -f "ci/k8s/overlays/$overlay/kustomization.yaml" ] \
        || fail "UnknownOverlay: ci/k8s/overlays/$overlay is not there; set OVERLAY to one of $(ls ci/k8s/overlays | tr '\n' ' ')"
    command -v kubectl >/dev/null 2>&1 || fail "NoKubectl: kubectl is not installed; install it where pipelines deploy"

    image=$(cat "$published")
    instance=$name-$overlay
    folder=$work/deploy/$target
    mkdir -p "$folder"
    cat >"$folder/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../../ci/k8s/overlays/$overlay]
namePrefix: $name-
labels:
  - includeSelectors: true
    pairs:
      app.kubernetes.io/instance: $instance
images:
  - name: ovenbird
    newName: ${image%@*}
    digest: ${image#*@}
YAML
    [ -z "${NAMESPACE:-}" ] || echo "namespace: $NAMESPACE" >>"$folder/kustomization.yaml"
    if [ -n "${DRY_RUN:-}" ]; then
        echo "---"
        kubectl kustomize "$folder"
        return
    fi
    kubectl apply -k "$folder"
    local of=(deployment --selector "app.kubernetes.io/instance=$instance" ${NAMESPACE:+--namespace "$NAMESPACE"})
    kubectl rollout status "${of[@]}" --timeout "${DEPLOY_TIMEOUT:-5m}" \
        || fail "RolloutFailed: $image was not ready after ${DEPLOY_TIMEOUT:-5m}; undo it: kubectl rollout undo ${of[*]}"
    say "$target: deployed $image"
}

for each in "$@"; do
    need_target "$each"
    deploy
done
