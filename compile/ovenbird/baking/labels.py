"""The labels of an image: the OCI's own for tools that know them, ours for what only an artifact has.

labels = image_labels(opened, target="x86-64-v3", base="python:3.12-slim", source=describe_source(root))
labels["ovenbird.manifest.digest"]      # sha256:..., of the artifact's manifest.json
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ovenbird.process.git import ask_git
from ovenbird_runtime import __version__
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.errors import one_line

SBOM_PATH = "/opt/ovenbird/sbom.cdx.json"
OCI = "org.opencontainers.image"


@dataclass(frozen=True)
class SourceRevision:
    """Where the sources stand: git's commit ("" outside a checkout) and its time, seconds since 1970."""

    revision: str
    created: int


def describe_source(root: Path) -> SourceRevision:
    """Ask git for the commit; `-dirty` is added where files differ from it. SOURCE_DATE_EPOCH decides the time."""
    if (root / ".git").exists():
        revision = ask_git(root, "rev-parse", "HEAD") or ""
        committed = ask_git(root, "log", "-1", "--format=%ct") or ""
        dirty = bool(ask_git(root, "status", "--porcelain", "--untracked-files=no"))
    else:  # installed: a repository around it is somebody else's
        revision, committed, dirty = "", "", False
    epoch = os.environ.get("SOURCE_DATE_EPOCH") or committed
    created = int(epoch) if epoch.isdigit() else int(time.time())
    return SourceRevision(f"{revision}-dirty" if revision and dirty else revision, created)


def image_labels(artifact: Artifact, target: str, base: str, source: SourceRevision) -> Mapping[str, str]:
    """Return the labels of an image that holds, or is made for, `artifact`. Empty values are left out."""
    model = artifact.manifest.model
    digest = hashlib.sha256(artifact.manifest_bytes).hexdigest()
    labels = {
        f"{OCI}.title": f"ovenbird-{model.name}",
        f"{OCI}.description": f"{model.name}, compiled by Ovenbird for {target}",
        f"{OCI}.version": model.version,
        f"{OCI}.revision": source.revision,
        f"{OCI}.created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(source.created)),
        f"{OCI}.licenses": "Apache-2.0",
        f"{OCI}.base.name": base,
        "ovenbird.model": model.name,
        "ovenbird.model.licence": model.licence,
        "ovenbird.weights": "random" if model.weights.random else model.weights.origin,
        "ovenbird.target": target,
        "ovenbird.runtime.version": __version__,
        "ovenbird.manifest.digest": f"sha256:{digest}",
        "ovenbird.sbom": SBOM_PATH,
    }
    return {name: one_line(value) for name, value in labels.items() if value}
