"""Write the SBOM of the packages in a folder, as CycloneDX JSON. A program of its own, for the stage that fills it.

    python3 image_sbom.py /opt/ovenbird /opt/ovenbird/sbom.cdx.json

It runs inside an image's build, where nothing but Python's standard library is at hand, and describes what pip
installed there (name, version, licence, requirements) whatever processor it was installed for.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any

SPEC_VERSION = "1.6"


def describe_folder(folder: Path) -> list[dict[str, Any]]:
    """Return a CycloneDX component for each distribution in `folder`, sorted by name."""
    found = {}
    for distribution in importlib.metadata.distributions(path=[str(folder)]):
        name = _normal(distribution.metadata["Name"])
        purl = f"pkg:pypi/{name}@{distribution.version}"
        component: dict[str, Any] = {
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": distribution.version,
            "purl": purl,
        }
        # the message's own dictionary: a field that is absent is None, for every Python
        fields = dict(distribution.metadata.items())  # type: ignore[attr-defined]
        if fields.get("License-Expression"):
            component["licenses"] = [{"expression": fields["License-Expression"]}]
        elif fields.get("License"):
            first = fields["License"].strip().splitlines()[0][:100]
            component["licenses"] = [{"license": {"name": first}}]
        found[name] = component
    return [found[name] for name in sorted(found)]


def document(components: list[dict[str, Any]], subject: dict[str, Any]) -> dict[str, Any]:
    """Return a CycloneDX document about `subject`; the same components give the same bytes."""
    digest = hashlib.sha256(json.dumps([subject, components], sort_keys=True).encode()).digest()
    return {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPEC_VERSION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPEC_VERSION,
        "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}",
        "version": 1,
        "metadata": {"component": subject},
        "components": components,
    }


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def main(arguments: list[str]) -> None:
    """Write the document: FOLDER OUTPUT."""
    folder, output = (Path(argument) for argument in arguments)
    subject = {"type": "container", "bom-ref": "ovenbird-runtime-image", "name": "ovenbird-runtime-image"}
    text = json.dumps(document(describe_folder(folder), subject), indent=2, sort_keys=True)
    output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
