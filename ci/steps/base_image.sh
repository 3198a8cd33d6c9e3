#!/usr/bin/env bash
# Makes a base image of Debian packages alone, for machines that reach no image registry, and imports it into buildah.
#
#     ci/steps/base_image.sh amd64            localhost/ovenbird-base:bookworm-amd64: Python, what a target needs
#     ci/steps/base_image.sh arm64            the same for arm64; no command of it runs here
#     ci/steps/base_image.sh amd64 tools      localhost/ovenbird-tools:bookworm-amd64: the same with pip and a compiler
#
# RELEASE=bookworm chooses Debian's release. FORCE=1 makes it again, with the packages of today. Prints the image's name.
# The compiling stages and the runtime must have one Python version: both come from the same release.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
. ci/steps/buildah.sh
arch=${1:?usage: base_image.sh amd64|arm64 [tools]}
kind=${2:-base}
release=${RELEASE:-bookworm}
image=localhost/ovenbird-$kind:$release-$arch

# libstdc++ stands in every base that has apt (python:3-slim too); numpy and TVM need it.
packages=python3,ca-certificates,libstdc++6
[ "$kind" = base ] || packages+=,python3-pip,python3-venv,g++,libc6-dev

if [ -z "${FORCE:-}" ] && buildah inspect --type image "$image" >/dev/null 2>&1; then
    echo "$image"
    exit
fi
work=$(mktemp -d)
container=
trap '[ -z "$container" ] || buildah rm "$container" >/dev/null; rm -rf "$work"' EXIT
say "making $image of Debian $release's packages" >&2

# Packages are unpacked and not configured where their scripts could not run: Python needs none of them.
variant=apt
[ "$kind" = tools ] || variant=extract
# The list of packages is written all the same: an SBOM is made from it.
list='for deb in "$1"/var/cache/apt/archives/*.deb; do dpkg-deb --field "$deb"; echo; done >"$1/var/lib/dpkg/status"'
[ "$variant" = extract ] || list=true
# Debian's own mirror, or the one that this machine is set to (sources.list.d, proxies).
mmdebstrap --quiet --mode=root --variant=$variant --architectures="$arch" --include="$packages" \
    --extract-hook="$list" --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    "$release" "$work/root.tar" >&2 \
    || fail "BaseFailed: mmdebstrap could not make a Debian $release root for $arch (its message is above); check the mirror"

container=$(buildah from --arch "$arch" scratch)
buildah add --quiet "$container" "$work/root.tar" / >/dev/null
buildah config --arch "$arch" --os linux --cmd python3 --env PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin "$container"
buildah commit --quiet --format docker "$container" "$image" >/dev/null
echo "$image"
