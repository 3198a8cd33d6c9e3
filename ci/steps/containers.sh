#!/usr/bin/env bash
# Installs the Debian packages that build, store and emulate images without an engine or a registry. Needs root.
#
#     ci/steps/containers.sh
#
# buildah builds, mmdebstrap makes bases of Debian packages, qemu-user-static runs arm64's, docker-registry and
# skopeo take and show a published image.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
packages=(buildah mmdebstrap qemu-user-static docker-registry skopeo)

missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0
[ "$(id -u)" = 0 ] || fail "NotRoot: ${missing[*]} cannot be installed by $(id -un); run as root: apt-get install ${missing[*]}"
say "installing ${missing[*]}"
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null \
    || fail "InstallFailed: apt-get could not install ${missing[*]} (its message is above); check the package mirror"
