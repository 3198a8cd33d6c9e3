"""What is a reference, and what is none."""

from __future__ import annotations

import pytest

from ovenbird.errors import ReferenceInvalid
from ovenbird.registry.references import ImageReference

DIGEST = "sha256:" + "0f" * 32


@pytest.mark.parametrize(
    ("text", "host", "name", "folder", "tag", "digest"),
    [
        ("registry.example/models/resnet50:1.2", "registry.example", "models/resnet50", "", "1.2", ""),
        ("localhost/net", "localhost", "net", "", "latest", ""),
        ("127.0.0.1:5000/a/b_c/d-e:x", "127.0.0.1:5000", "a/b_c/d-e", "", "x", ""),
        ("[::1]:5000/net:x", "[::1]:5000", "net", "", "x", ""),
        (f"ghcr.example/net@{DIGEST}", "ghcr.example", "net", "", "latest", DIGEST),
        (f"ghcr.example/net:1@{DIGEST}", "ghcr.example", "net", "", "1", DIGEST),
        ("oci:build/layout:resnet50", "", "", "build/layout", "resnet50", ""),
        ("oci:/srv/models", "", "", "/srv/models", "latest", ""),
        (f"oci:layout@{DIGEST}", "", "", "layout", "latest", DIGEST),
    ],
)
def test_parts(text: str, host: str, name: str, folder: str, tag: str, digest: str) -> None:
    assert ImageReference.parse(text) == ImageReference(text, host, name, folder, tag, digest)


@pytest.mark.parametrize(
    "text",
    [
        "", "resnet50", "models/resnet50:1", "registry.example", "registry.example/", "registry.example/Upper:1",
        "registry.example/a//b", "registry.example/../b", "registry.example/a:t@sha256:12", "http://registry.example/a",
        "registry.example/a:b:c", "oci:", "oci:a:b:c", f"registry.example/a:{'x' * 129}", "registry.example/a b",
        "-x/a",
    ],
)  # fmt: skip
def test_no_reference(text: str) -> None:
    with pytest.raises(ReferenceInvalid, match="expected HOST/NAME:TAG"):
        ImageReference.parse(text)
