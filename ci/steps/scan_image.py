"""Look into an image's archive: how it starts, what its files may do, and whether its SBOM names what is in it.

    .venv/bin/python ci/steps/scan_image.py build/ci/images/x86-64-v3.tar --sbom build/ci/images/x86-64-v3.cdx.json

Reads the archive (`docker save`'s format) without an engine. Exit code 1 where anything was found, a line each.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

OURS = ("opt/ovenbird/", "artifact/")
SECRETS = re.compile(r"(^|/)(\.netrc|\.npmrc|\.pypirc|pip\.conf|id_(rsa|ed25519|ecdsa)|\.env|credentials|.*\.key)$")
NOT_FOR_TARGETS = ("torch", "torchvision", "tvm", "ovenbird", "pip", "onnx")
SETUID = 0o6000
WORLD_WRITABLE = 0o002


def main() -> int:
    """Print what is wrong; return the exit code."""
    parser = argparse.ArgumentParser(description="Look into an image's archive.")
    parser.add_argument("archive", type=Path)
    parser.add_argument("--sbom", type=Path, required=True)
    options = parser.parse_args()
    with tarfile.open(options.archive) as archive:
        manifest = json.load(member(archive, "manifest.json"))[0]
        config = json.load(member(archive, manifest["Config"]))["config"]
        files: dict[str, tarfile.TarInfo] = {}
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=member(archive, layer)) as opened:
                files.update({info.name.removeprefix("./").lstrip("/"): info for info in opened})
    sbom = json.loads(options.sbom.read_text(encoding="utf-8"))
    found = [*settings(config), *contents(files), *inventory(files, sbom)]
    for line in found:
        print(f"found: {line}", file=sys.stderr)
    ours = sum(info.size for name, info in files.items() if name.startswith(OURS))
    print(f"{options.archive}: {len(files)} files, ours {ours / 1e6:.1f} MB, SBOM of {len(sbom['components'])}")
    if found:
        print(f"error: ImageRefused: {options.archive}: {len(found)} findings, limit 0; see above", file=sys.stderr)
    return int(bool(found))


def member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    """Open a file of the archive, links followed (two alike layers are one file with two names)."""
    opened = archive.extractfile(archive.getmember(name))
    assert opened is not None
    return opened


def settings(config: dict[str, Any]) -> Iterator[str]:
    """Check how the image starts."""
    user = str(config.get("User", ""))
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", user):
        yield f"it runs as {user or 'root'!r}; Kubernetes' runAsNonRoot wants a number above 0"
    if config.get("Healthcheck", {}).get("Test", [""])[0] != "CMD":
        yield "it has no health check that works without a shell"
    for part in ("Entrypoint", "Cmd"):
        if (config.get(part) or [""])[0] in ("", "/bin/sh", "sh"):
            yield f"its {part} is {config.get(part)}, which needs a shell or is empty"
    for entry in config.get("Env", []):
        if re.search(r"(PASSWORD|SECRET|TOKEN|API_?KEY)", entry.split("=")[0], re.I):
            yield f"its environment has {entry.split('=')[0]}"
    for name in ("org.opencontainers.image.created", "ovenbird.manifest.digest", "ovenbird.sbom"):
        if name not in config.get("Labels", {}):
            yield f"it has no label {name}"


def contents(files: dict[str, tarfile.TarInfo]) -> Iterator[str]:
    """Check what the files may do; those of the base are the base's own matter, but for secrets."""
    for name, info in sorted(files.items()):
        if info.isfile() and SECRETS.search(name) and not name.startswith(("usr/share/", "etc/ssl/")):
            yield f"{name} looks like a secret"
        if name.startswith(OURS):
            if info.mode & SETUID and info.isfile():
                yield f"{name} is setuid or setgid"
            if info.mode & WORLD_WRITABLE and not info.issym():
                yield f"{name} can be written by everyone"
            if info.uid != 0:
                yield f"{name} belongs to user {info.uid}, who could change it"


def inventory(files: dict[str, tarfile.TarInfo], sbom: dict[str, Any]) -> Iterator[str]:
    """Compare the Python packages that are there with those of the SBOM."""
    pattern = re.compile(r"^opt/ovenbird/([^/]+)-[^-/]+\.dist-info/METADATA$")
    there = {re.sub(r"[-_.]+", "-", match[1]).lower() for name in files if (match := pattern.match(name))}
    named = {
        component["name"] for component in sbom["components"] if str(component.get("purl", "")).startswith("pkg:pypi/")
    }
    yield from (f"{name} is in the image and not in its SBOM" for name in sorted(there - named))
    yield from (f"{name} is no business of a target" for name in sorted(there & set(NOT_FOR_TARGETS)))
    if not there:
        yield "no Python package was found in it"


if __name__ == "__main__":
    sys.exit(main())
