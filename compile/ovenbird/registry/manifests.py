"""An artifact as an OCI image manifest: a layer for each file, as oras writes folders.

    manifest_of([Blob("manifest.json", path, Layer(digest, size)), ...], {"org.opencontainers.image.title": "resnet50"})
    layers_of(data, "oci:store:1")       # {"manifest.json": Layer(digest, size), ...}

`oras pull` restores the same folder. The format: OCI image specification 1.1, "Guidelines for Artifact Usage".
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ovenbird.errors import RegistryFailed
from ovenbird.registry.references import DIGEST
from ovenbird_runtime.errors import shown
from ovenbird_runtime.limits import MAX_FILE_BYTES, MAX_FILES

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
ARTIFACT_TYPE = "application/vnd.ovenbird.artifact.v2"
FILE_TYPE = "application/octet-stream"
TITLE = "org.opencontainers.image.title"
EMPTY = b"{}"
"""The configuration of what has none."""


@dataclass(frozen=True)
class Layer:
    """A file's content, as a registry knows it."""

    digest: str
    size: int


@dataclass(frozen=True)
class Blob:
    """A file to be pushed: its name within the artifact, its place, its content."""

    name: str
    path: Path
    layer: Layer


def digest_of(data: bytes) -> str:
    """Return the digest of bytes as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest_of(blobs: Iterable[Blob], annotations: dict[str, str]) -> bytes:
    """Return the manifest of these files: the same bytes for the same files."""
    layers = [
        {
            "mediaType": FILE_TYPE,
            "digest": blob.layer.digest,
            "size": blob.layer.size,
            "annotations": {TITLE: blob.name},
        }
        for blob in sorted(blobs, key=lambda blob: blob.name)
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": MEDIA_TYPE,
        "artifactType": ARTIFACT_TYPE,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest_of(EMPTY), "size": len(EMPTY)},
        "layers": layers,
        "annotations": annotations,
    }
    return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


def layers_of(data: bytes, where: str) -> dict[str, Layer]:
    """Return the files that a manifest names. Raises RegistryFailed where it is no manifest of an artifact of ours."""
    try:
        document = json.loads(data)
        kind, layers = document["artifactType"], document["layers"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RegistryFailed(f"{where} is no artifact of Ovenbird: its manifest names no artifactType") from None
    if kind != ARTIFACT_TYPE:
        raise RegistryFailed(f"{where} is no artifact of Ovenbird: its type is {shown(str(kind))}, not {ARTIFACT_TYPE}")
    if not isinstance(layers, list) or len(layers) > MAX_FILES:
        raise RegistryFailed(f"{where} has no list of at most {MAX_FILES} files")
    found: dict[str, Layer] = {}
    for layer in layers:
        try:
            name, one = layer["annotations"][TITLE], Layer(layer["digest"], layer["size"])
            sound = isinstance(name, str) and re.fullmatch(DIGEST, one.digest) and type(one.size) is int
        except (KeyError, TypeError):
            sound = False
        if not sound or not 0 <= one.size <= MAX_FILE_BYTES or name in found:
            raise RegistryFailed(f"{where} has a layer that is no file: {shown(json.dumps(layer))}")
        found[name] = one
    return found
