"""Emit the JSON Schema (2020-12) of the runtime's dataclasses.

The files in `artifacts/` are written from the code that validates, by this command:

    python -m ovenbird_runtime.artifact.json_schema artifacts
"""

from __future__ import annotations

import dataclasses
import sys
import types
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from ..manifest.schema import Count, Json, Range, Text, dump, fields_of

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(cls: type, title: str) -> dict[str, Json]:
    """Return the JSON Schema of the dataclass `cls` as JSON values; nested dataclasses go under `$defs`."""
    definitions: dict[str, Json] = {}
    root = _object(cls, definitions)
    root_first = {"$schema": DIALECT, "title": title, **root}
    return {**root_first, "$defs": {name: definitions[name] for name in sorted(definitions)}}


def _object(cls: type, definitions: dict[str, Json]) -> dict[str, Json]:
    known = fields_of(cls)
    document = (cls.__doc__ or "").split("\n")[0].strip()
    return {
        "type": "object",
        "description": document,
        "properties": {name: _kind(kind, definitions) for name, kind, _ in known},
        "required": [name for name, _, required in known if required],
        "additionalProperties": False,
    }


def _kind(kind: Any, definitions: dict[str, Json]) -> dict[str, Json]:
    bound: Any = None
    if get_origin(kind) is Annotated:
        kind, bound = get_args(kind)[:2]
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind):
        name = getattr(kind, "__name__", "")
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(kind, definitions)  # type: ignore[arg-type]
        return {"$ref": f"#/$defs/{name}"}
    if origin is Literal:
        return {"enum": list(get_args(kind))}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_kind(option, definitions) for option in get_args(kind)]}
    if origin is tuple:
        result: dict[str, Json] = {"type": "array", "items": _kind(get_args(kind)[0], definitions)}
        return result | ({"minItems": bound.low, "maxItems": bound.high} if isinstance(bound, Count) else {})
    if origin is dict:
        return _dict(kind, bound, definitions)
    return _plain(kind, bound)


def _dict(kind: Any, bound: Any, definitions: dict[str, Json]) -> dict[str, Json]:
    result: dict[str, Json] = {"type": "object", "additionalProperties": _kind(get_args(kind)[1], definitions)}
    if isinstance(bound, Count):
        result |= {"minProperties": bound.low, "maxProperties": bound.high}
        if bound.keys is not None:
            result["propertyNames"] = {"pattern": f"^({bound.keys.pattern})$", "maxLength": bound.keys.max_chars}
    return result


def _plain(kind: Any, bound: Any) -> dict[str, Json]:
    if kind is type(None):
        return {"type": "null"}
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    if kind not in names:  # Json: any value
        return {}
    result: dict[str, Json] = {"type": names[kind]}
    if isinstance(bound, Range):
        result |= {"minimum": bound.low, "maximum": bound.high}
    if isinstance(bound, Text):
        result |= {"pattern": f"^({bound.pattern})$", "maxLength": bound.max_chars}
    return result


def write_schemas(folder: Path) -> list[Path]:
    """Write `manifest.schema.json`, `target.schema.json` and `plan.schema.json` into `folder`; return their paths."""
    from ..manifest.manifest import Manifest, Target
    from .plan import Plan

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for cls, stem, title in (
        (Manifest, "manifest", "manifest.json of an Ovenbird artifact"),
        (Target, "target", "target.json of one variant of an Ovenbird artifact"),
        (Plan, "plan", "plan.json of one variant of an Ovenbird artifact"),
    ):
        path = folder / f"{stem}.schema.json"
        path.write_bytes(dump(json_schema(cls, title)))
        written.append(path)
    return written


if __name__ == "__main__":
    for schema_path in write_schemas(Path(sys.argv[1] if len(sys.argv) > 1 else "artifacts")):
        sys.stdout.write(f"{schema_path}\n")
