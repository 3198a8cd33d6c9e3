"""Where an artifact comes from: what its provenance (`provenance.json`, in-toto with SLSA's predicate) says in short.

    read_origin(artifact)       # {"commit": "5f0c...", "modified": False, "versions": {"ovenbird": "0.1.0", ...}}

The file is covered by the manifest, and by its signature where there is one; without a signature it is a claim.
"""

from __future__ import annotations

from typing import Any

from ..errors import FileChanged, ManifestInvalid, one_line
from ..limits import MAX_PROVENANCE_BYTES
from ..manifest.schema import parse
from .artifact import Artifact

PROVENANCE = "provenance.json"
SBOM = "sbom.cdx.json"


def read_origin(artifact: Artifact) -> dict[str, Any] | None:
    """Return commit, whether files differed from it, tool versions and options; None where nothing is recorded.

    Raises FileChanged where the file is not the manifest's, or is no provenance.
    """
    if PROVENANCE not in artifact.manifest.files:
        return None
    data = artifact.read(PROVENANCE, MAX_PROVENANCE_BYTES)
    try:
        predicate = parse(data, PROVENANCE)["predicate"]
        build = predicate["buildDefinition"]
        commits = [item for item in build["resolvedDependencies"] if "gitCommit" in item.get("digest", {})]
        return {
            "commit": one_line(str(commits[0]["digest"]["gitCommit"])) if commits else None,
            "modified": bool(commits and commits[0].get("annotations", {}).get("modified")),
            "versions": {
                one_line(str(name)): one_line(str(version))
                for name, version in predicate["runDetails"]["builder"]["version"].items()
            },
            "options": build["externalParameters"],
        }
    except (ManifestInvalid, LookupError, TypeError, AttributeError):
        raise FileChanged(
            f"{PROVENANCE} is no in-toto statement with SLSA provenance: compile the artifact again"
        ) from None
