#!/usr/bin/env bash
# Applies the Kubernetes overlay of one target with the image that was published, by digest.
#
#     ci/steps/deploy.sh TARGET           OVERLAY= (default: by the target's architecture and kind), DRY_RUN=1
#
# Without a published image, or without kubectl, it says so and applies nothing. DRY_RUN=1 prints what would be applied.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/pipeline.sh
need_target "$@"
published=$(archive_of "$target")
published=${published%.tar}.digest
kind=cpu
[ "$(field_of "$target" kind)" != cuda ] || kind=gpu
overlay=ci/k8s/overlays/${OVERLAY:-$(arch_of "$target")-$kind}
if [ ! -f "$published" ]; then
    say "$target: not deployed: no image was published"
    exit
fi
[ -f "$overlay/kustomization.yaml" ] || fail "UnknownOverlay: $overlay is not there; set OVERLAY to one of $(ls ci/k8s/overlays | tr '\n' ' ')"
command -v kubectl >/dev/null 2>&1 || fail "NoKubectl: kubectl is not installed; install it where pipelines deploy"

image=$(cat "$published")
folder=$work/deploy/$target
mkdir -p "$folder"
cat >"$folder/kustomization.yaml" <<YAML
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../../../$overlay]
images:
  - name: ovenbird
    newName: ${image%@*}
    digest: ${image#*@}
YAML
if [ -n "${DRY_RUN:-}" ]; then
    kubectl kustomize "$folder"
    exit
fi
kubectl apply -k "$folder"
kubectl rollout status deployment --selector app.kubernetes.io/part-of=ovenbird --timeout "${DEPLOY_TIMEOUT:-5m}" \
    || fail "RolloutFailed: $image did not become ready in ${DEPLOY_TIMEOUT:-5m}; undo it: kubectl rollout undo deployment --selector app.kubernetes.io/part-of=ovenbird"
say "$target: deployed $image"
