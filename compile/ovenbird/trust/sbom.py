"""An artifact's bill of materials: CycloneDX 1.6, JSON, `sbom.cdx.json` at its root.

data = sbom_bytes(writer.model_info(), files)

The network is the subject; its parts are the files (weights, code, labels) with their sha256; what it needs on a target
are the runtime, TVM's library and their requirements; what made it are the tools. Nothing in it is of a time or of
chance: the serial number is a UUID of version 5 over the content, and the library's timestamp is taken out.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from ovenbird.trust.versions import runtime_requirements, tool_versions
from ovenbird_runtime.machine.versions import TVM_FFI_VERSION, TVM_VERSION
from ovenbird_runtime.manifest.manifest import FileRecord, ModelInfo

_LICENCES = {"apache-tvm": "Apache-2.0", "apache-tvm-ffi": "Apache-2.0", "ovenbird": "Apache-2.0"}


def sbom_bytes(model: ModelInfo, files: Mapping[str, FileRecord]) -> bytes:
    """Return the document for a network and the files written so far (all but the evidence of origin itself)."""
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentScope, ComponentType
    from cyclonedx.model.tool import ToolRepository
    from cyclonedx.output.json import JsonV1Dot6
    from packageurl import PackageURL

    def package(name: str, version: str | None, **more: Any) -> Component:
        # numpy as a requirement of the target and numpy as a tool are two things: the tools' references differ
        reference = f"{more.pop('role')}:{name}"
        own = _LICENCES.get(name)
        return Component(
            name=name,
            version=version,
            type=more.pop("type", ComponentType.LIBRARY),
            bom_ref=reference,
            purl=PackageURL("pypi", None, name, version),
            licenses=[_licence(own)] if own else (),
            **more,
        )

    def file(name: str, record: FileRecord) -> Component:
        return Component(
            name=name,
            type=ComponentType.DATA if name.startswith("weights/") else ComponentType.FILE,
            bom_ref=f"file:{name}",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=record.sha256)],
            licenses=[_licence(model.licence)] if name.startswith("weights/") and model.licence else (),
            properties=[Property(name="ovenbird:size", value=str(record.size))],
        )

    weights = [("origin", model.weights.origin), ("detail", model.weights.detail), ("seed", str(model.weights.seed))]
    subject = Component(
        name=model.name,
        version=model.version,
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        licenses=[_licence(model.licence)] if model.licence else (),
        properties=[
            Property(name="ovenbird:source-digest", value=model.source_digest),
            *(Property(name=f"ovenbird:weights:{name}", value=value) for name, value in weights if value != "None"),
        ],
    )
    parts = [file(name, record) for name, record in sorted(files.items())]
    requirements = {"apache-tvm-ffi": f"=={TVM_FFI_VERSION}", **runtime_requirements()}
    versions = tool_versions()
    # the target's own versions are not known here: the range is said, and a version only where it is pinned
    needed = [
        package(
            name,
            wanted.removeprefix("==") if wanted.startswith("==") else None,
            role="runtime",
            scope=ComponentScope.REQUIRED,
            properties=[Property(name="ovenbird:requirement", value=wanted)] if wanted else (),
        )
        for name, wanted in sorted(requirements.items())
    ]
    library = package("apache-tvm", TVM_VERSION, role="runtime", scope=ComponentScope.REQUIRED)
    runtime = package("ovenbird-runtime", versions["ovenbird"], role="runtime", scope=ComponentScope.REQUIRED)
    tools = [package(name, version, role="tool", type=ComponentType.APPLICATION) for name, version in versions.items()]
    bom = Bom(
        metadata=BomMetaData(component=subject, tools=ToolRepository(components=tools)),
        components=[*parts, *needed, library, runtime],
    )
    bom.register_dependency(subject, [*parts, runtime])
    bom.register_dependency(runtime, [*needed, library])
    document = json.loads(JsonV1Dot6(bom).output_as_string())
    document.pop("serialNumber", None)
    document["metadata"].pop("timestamp", None)
    content = json.dumps(document, sort_keys=True)
    document["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, content)}"
    return (json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n").encode("utf-8")


def _licence(text: str) -> Any:
    """Return a licence by its SPDX id, as an expression of them, or under the name it has."""
    from cyclonedx.contrib.license.factories import LicenseFactory

    return LicenseFactory().make_from_string(text)
