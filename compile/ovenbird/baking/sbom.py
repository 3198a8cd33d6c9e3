"""The SBOM of a whole image: the packages of its base, those pip installed, and what the artifact says of itself.

text = merge_sbom("ovenbird/resnet50:x86-64-v3", packages_json, dpkg_status, artifact)
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

from ovenbird.baking.image_sbom import document
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.artifact.origin import SBOM
from ovenbird_runtime.errors import ManifestInvalid
from ovenbird_runtime.manifest.schema import parse

MAX_SBOM_BYTES = 16 * 1024 * 1024


def merge_sbom(image: str, packages: bytes, dpkg_status: bytes, artifact: Artifact) -> str:
    """Return the CycloneDX document, as JSON; the same image gives the same bytes."""
    installed = json.loads(packages)["components"] if packages else []
    components = [model_component(artifact), *_artifact_components(artifact, {one["name"] for one in installed})]
    components += installed
    components += debian_components(dpkg_status.decode("utf-8", errors="replace"))
    unique = {str(component.get("bom-ref", component["name"])): component for component in components}
    subject = {"type": "container", "bom-ref": f"image:{image}", "name": image}
    return json.dumps(document([unique[key] for key in sorted(unique)], subject), indent=2, sort_keys=True) + "\n"


def model_component(artifact: Artifact) -> dict[str, Any]:
    """Return the model in an image as a component with the manifest's digest."""
    model = artifact.manifest.model
    return {
        "type": "machine-learning-model",
        "bom-ref": f"ovenbird:{model.name}@{model.version}",
        "name": model.name,
        "version": model.version,
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(artifact.manifest_bytes).hexdigest()}],
        "licenses": [{"license": {"name": model.licence or "not stated"}}],
    }


def _artifact_components(artifact: Artifact, installed: set[str]) -> list[dict[str, Any]]:
    """Return what the artifact's own SBOM names, but for its requirements that pip met and names with their versions.

    Raises ManifestInvalid.
    """
    if SBOM not in artifact.manifest.files:
        return []
    listed = parse(artifact.read(SBOM, MAX_SBOM_BYTES), SBOM)
    found = listed.get("components", []) if isinstance(listed, dict) else None
    if not isinstance(found, list) or not all(isinstance(one, dict) and "name" in one for one in found):
        raise ManifestInvalid(f"{SBOM} is no CycloneDX document: compile the artifact again")
    return [one for one in found if one.get("type") != "library" or one.get("name") not in installed]


def debian_components(status: str) -> list[dict[str, Any]]:
    """Return the packages in dpkg's `status` file (empty where the base has none)."""
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
