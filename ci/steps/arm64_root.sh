#!/usr/bin/env bash
# Makes a folder in which an arm64 machine's Python runs here under user-mode emulation, with the runtime and nothing else.
#
#     ci/steps/arm64_root.sh [FOLDER]      default build/arm64-root; prints it; a second call finds it current
#     qemu-aarch64-static -L FOLDER FOLDER/usr/bin/python3 -m ovenbird_runtime run ...
#
# Debian's Python, and the wheels that an arm64 target gets: ovenbird-runtime (OVENBIRD_RUNTIME_ARCH=aarch64), tvm-ffi,
# numpy, pillow. Installs Debian packages (mmdebstrap, qemu-user-static) where they are missing, which needs root.
# Uses $VENV (default .venv) for pip; RELEASE=bookworm chooses Debian's release; FORCE=1 makes it again.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
root=${1:-build/arm64-root}
python=${VENV:-.venv}/bin/python
release=${RELEASE:-bookworm}

missing=()
for package in mmdebstrap qemu-user-static; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || fail "NotRoot: run as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}" >&2
    apt-get update -qq >&2
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 \
        || fail "InstallFailed: apt-get install ${missing[*]} (its message is above); check the package mirror"
fi

key=$({ echo "$release"; cat "$0" ci/constraints.txt runtime/*.toml runtime/*.py; \
    find runtime/ovenbird_runtime -name '*.py' -type f | LC_ALL=C sort | xargs cat; } | sha256sum | cut -d' ' -f1)
if [ -z "${FORCE:-}" ] && [ "$(cat "$root/.ovenbird-key" 2>/dev/null)" = "$key" ]; then
    echo "$root"
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "making an arm64 root of Debian $release's packages in $root" >&2
rm -rf "$root"
mkdir -p "$(dirname "$root")"
# Unpacked and not configured: the packages' scripts cannot run here, and Python needs none of them.
mmdebstrap --quiet --mode=root --variant=extract --architectures=arm64 --include=python3,libstdc++6 \
    "$release" "$work/root" >&2 \
    || fail "RootFailed: mmdebstrap could not make a Debian $release root for arm64 (its message is above); check the mirror"
version=$(basename "$(readlink "$work/root/usr/bin/python3")")
version=${version#python}

OVENBIRD_RUNTIME_ARCH=aarch64 "$python" -m pip wheel -qq --disable-pip-version-check --no-deps --wheel-dir "$work/wheels" ./runtime >&2 \
    || fail "NoWheel: the runtime's wheel for aarch64 could not be built (pip's message is above)"
platforms=()
for glibc in 2014 _2_17 _2_26 _2_27 _2_28 _2_34; do platforms+=(--platform "manylinux${glibc}_aarch64"); done
"$python" -m pip install -qq --disable-pip-version-check --no-compile --only-binary=:all: --constraint ci/constraints.txt \
    "${platforms[@]}" --implementation cp --python-version "$version" \
    --target "$work/root/usr/lib/python3/dist-packages" "$work"/wheels/*.whl >&2 \
    || fail "InstallFailed: pip could not install the aarch64 wheels (its message is above); check the package index"
echo "$key" >"$work/root/.ovenbird-key"
mv "$work/root" "$root"
echo "$root"
