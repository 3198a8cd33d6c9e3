"""Where an artifact lies: in a registry, or in a folder of OCI's image layout.

    ImageReference.parse("registry.example:5000/models/resnet50:1.2")       # without a tag: latest
    ImageReference.parse("registry.example/models/resnet50@sha256:9f86...") # by content
    ImageReference.parse("oci:build/layout:resnet50")                       # a folder

The grammar is that of the OCI distribution specification 1.1, "Pulling manifests".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ovenbird.errors import ReferenceInvalid
from ovenbird_runtime.errors import shown

DIGEST = r"sha256:[0-9a-f]{64}"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REMOTE = re.compile(
    rf"(?P<host>[A-Za-z0-9.-]+(?::\d{{1,5}})?|\[[0-9a-fA-F:]+\](?::\d{{1,5}})?)/(?P<name>{_PART}(?:/{_PART})*)"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{DIGEST}))?"
)
_FOLDER = re.compile(rf"oci:(?P<folder>[^:@\0]+)(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{DIGEST}))?")
_EXAMPLES = "expected HOST/NAME:TAG, HOST/NAME@sha256:... or oci:FOLDER:TAG"


@dataclass(frozen=True)
class ImageReference:
    """A parsed reference; exactly one of `host` and `folder` is set."""

    text: str
    host: str
    name: str
    folder: str
    tag: str
    digest: str
    """Of the manifest, where the reference names it: then the tag only explains."""

    @staticmethod
    def parse(text: str) -> ImageReference:
        """Read a reference. Raises ReferenceInvalid."""
        found = _FOLDER.fullmatch(text) or _REMOTE.fullmatch(text)
        if found is None:
            raise ReferenceInvalid(f"{shown(text)} is no reference: {_EXAMPLES}")
        parts = {key: value or "" for key, value in found.groupdict().items()}
        host = parts.get("host", "")
        if host and not re.search(r"[.:\[]", host) and host != "localhost":
            raise ReferenceInvalid(f"{shown(text)} names no registry: {_EXAMPLES}, where HOST has a '.' or a port")
        return ImageReference(
            text, host, parts.get("name", ""), parts.get("folder", ""), parts["tag"] or "latest", parts["digest"]
        )
