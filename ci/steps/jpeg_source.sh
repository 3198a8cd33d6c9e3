#!/usr/bin/env bash
# Prints the folder of libjpeg-turbo's sources, which wheels and one-file executables build into themselves.
#
#     cmake ... -DOVENBIRD_JPEG_SOURCE="$(ci/steps/jpeg_source.sh)"
#
# The folder is $OVENBIRD_JPEG_SOURCE, or build/libjpeg-turbo, filled with Debian's source package where it is missing.
# Its vector code for x86-64 needs nasm, which is installed where this runs as root.
set -euo pipefail
cd "$(dirname "$0")/../.."
. ci/steps/common.sh
if [ "$(uname -m)" = x86_64 ] && ! command -v nasm >/dev/null 2>&1; then
    command -v apt-get >/dev/null 2>&1 && [ "$(id -u)" = 0 ] || fail "NoToolchain: run as root: apt-get install nasm"
    say "installing nasm" >&2
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nasm; } >&2 \
        || fail "InstallFailed: apt-get install nasm (its message is above); check the package mirror"
fi
if [ -n "${OVENBIRD_JPEG_SOURCE:-}" ]; then
    [ -f "$OVENBIRD_JPEG_SOURCE/jpeglib.h" ] || fail "NoSource: OVENBIRD_JPEG_SOURCE=$OVENBIRD_JPEG_SOURCE has no jpeglib.h"
    realpath "$OVENBIRD_JPEG_SOURCE"
    exit 0
fi
folder=build/libjpeg-turbo
mkdir -p build
exec 9>build/libjpeg-turbo.lock
flock 9
if [ ! -f "$folder/jpeglib.h" ]; then
    command -v apt-get >/dev/null 2>&1 \
        || fail "NoSource: set OVENBIRD_JPEG_SOURCE to a folder of libjpeg-turbo's sources (Debian's are fetched by apt-get)"
    say "fetching libjpeg-turbo's sources" >&2
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work"
    mkdir -p "$work/parts" "$work/lists" "$work/source"
    # Debian's own mirrors, as this machine has them, for sources instead of packages.
    [ ! -f /etc/apt/sources.list ] || sed -n 's/^deb /deb-src /p' /etc/apt/sources.list >"$work/parts/main.list"
    [ ! -f /etc/apt/sources.list.d/debian.sources ] \
        || sed 's/^Types:.*/Types: deb-src/' /etc/apt/sources.list.d/debian.sources >"$work/parts/debian.sources"
    apt=(apt-get -qq -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts="$work/parts" -o Dir::State::Lists="$work/lists")
    (cd "$work/source" && "${apt[@]}" update && "${apt[@]}" source --download-only libjpeg-turbo) >&2 \
        || fail "NoSource: apt-get source libjpeg-turbo failed (its message is above); set OVENBIRD_JPEG_SOURCE to a folder"
    rm -rf "$folder" "$folder.part"
    mkdir "$folder.part"
    tar -xf "$work"/source/libjpeg-turbo_*.orig.tar.* -C "$folder.part" --strip-components 1
    mv "$folder.part" "$folder"
fi
realpath "$folder"
