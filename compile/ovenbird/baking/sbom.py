"""The SBOM of a whole image: the packages of its base, those pip installed, and what the artifact says of itself.

text = merge_sbom("ovenbird/resnet50:x86-64-v3", packages_json, dpkg_status, artifact)
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ovenbird.baking.image_sbom import document
from ovenbird_runtime.artifact import Artifact

# An artifact's own SBOM lies beside its manifest under one of the names that CycloneDX recognizes.
ARTIFACT_SBOMS = ("sbom.cdx.json", "bom.json")


def merge_sbom(image: str, packages: bytes, dpkg_status: bytes, artifact: Artifact) -> str:
    """Give the CycloneDX document, as JSON; the same image gives the same bytes."""
    components = [model_component(artifact)]
    components += _artifact_components(artifact)
    if packages:
        components += json.loads(packages)["components"]
    components += debian_components(dpkg_status.decode("utf-8", errors="replace"))
    unique = {str(component.get("bom-ref", component["name"])): component for component in components}
    subject = {"type": "container", "bom-ref": f"image:{image}", "name": image}
    return json.dumps(document([unique[key] for key in sorted(unique)], subject), indent=2, sort_keys=True) + "\n"


def model_component(artifact: Artifact) -> dict[str, Any]:
    """Give the model in an image as a component with the manifest's digest."""
    model = artifact.manifest.model
    return {
        "type": "machine-learning-model",
        "bom-ref": f"ovenbird:{model.name}@{model.version}",
        "name": model.name,
        "version": model.version,
        "hashes": [
            {"alg": "SHA-256", "content": hashlib.sha256((artifact.root / "manifest.json").read_bytes()).hexdigest()}
        ],
        "licenses": [{"license": {"name": model.licence or "not stated"}}],
    }


def _artifact_components(artifact: Artifact) -> list[dict[str, Any]]:
    for name in ARTIFACT_SBOMS:
        path = artifact.root / name
        if path.is_file():
            found = json.loads(path.read_text(encoding="utf-8")).get("components", [])
            return [component for component in found if isinstance(component, dict)]
    return []


def debian_components(status: str) -> list[dict[str, Any]]:
    """Give the packages in dpkg's `status` file (empty where the base has none)."""
    found = []
    for paragraph in re.split(r"\n\s*\n", status):
        fields = dict(re.findall(r"^(Package|Version|Architecture): *(.*)$", paragraph, re.M))
        if "Package" in fields and "Version" in fields:
            purl = f"pkg:deb/debian/{fields['Package']}@{fields['Version']}?arch={fields.get('Architecture', 'all')}"
            found.append(
                {
                    "type": "library",
                    "bom-ref": purl,
                    "name": fields["Package"],
                    "version": fields["Version"],
                    "purl": purl,
                }
            )
    return found
