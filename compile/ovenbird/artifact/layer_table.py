"""What each function of an artifact's code does, kept as evidence, so that a profile of it can name its layers.

writer.add_evidence(LAYERS, layers_bytes({"host": layers}))
layers_of(open_artifact(folder))["host"]["fused_conv2d3_add_relu"]["flops"]
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ovenbird.limits import MAX_EVIDENCE_BYTES
from ovenbird_runtime.artifact.artifact import Artifact
from ovenbird_runtime.errors import FileChanged, ManifestInvalid
from ovenbird_runtime.manifest.schema import parse

if TYPE_CHECKING:
    from ovenbird.lowering.layers import LayerRecord

LAYERS = "evidence/layers.json"
_FIELDS: dict[str, type | tuple[type, ...]] = {"kind": str, "shape": list, "flops": int, "source": str, "whole": bool}


def layers_bytes(layers: Mapping[str, Sequence[LayerRecord]]) -> bytes:
    """Return the file: by variant and function what `LayerRecord` knows, in the order of their names."""
    document = {
        variant: {record.name: _fields(record) for record in sorted(records, key=lambda record: record.name)}
        for variant, records in sorted(layers.items())
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _fields(record: LayerRecord) -> dict[str, Any]:
    found = dataclasses.asdict(record)
    found.pop("name")
    return found


def layers_of(artifact: Artifact) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the records by variant and function; nothing of an artifact that has none.

    Raises FileChanged where the file is not the manifest's, or no such table.
    """
    if LAYERS not in artifact.manifest.files:
        return {}
    try:
        found = parse(artifact.read(LAYERS, MAX_EVIDENCE_BYTES), LAYERS)
    except ManifestInvalid as error:
        raise FileChanged(f"{LAYERS}: {error}: compile the artifact again") from None
    if not isinstance(found, dict) or not all(_is_table(table) for table in found.values()):
        raise FileChanged(f"{LAYERS} is no table of layers: compile the artifact again")
    return found


def _is_table(table: Any) -> bool:
    return isinstance(table, dict) and all(
        isinstance(row, dict)
        and all(isinstance(row.get(name), kind) for name, kind in _FIELDS.items())
        and all(type(extent) is int for extent in row["shape"])
        for row in table.values()
    )
