"""KServe's own schema of its two kinds, with Kubernetes' definitions of what they share (kserve.schema.json).

check_kserve(runtime, "1.33")       # raises jsonschema.ValidationError
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

import jsonschema
from kubernetes_validate.utils import all_versions, schema_contents
from referencing import Registry, Resource

SCHEMA = Path(__file__).with_name("kserve.schema.json")
MODELS = {"ServingRuntime": "V1alpha1ServingRuntime", "InferenceService": "V1beta1InferenceService"}


@functools.cache
def validator(kind: str, version: str) -> jsonschema.protocols.Validator:
    """Return the validator of a kind, its Kubernetes parts as of Kubernetes `version` ("1.33")."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    exact = next(one for one in all_versions() if one.startswith(f"{version}."))
    kubernetes = schema_contents(f"kubernetes-json-schema/v{exact}-local-strict/_definitions.json", exact)
    registry: Registry[Any] = Resource.from_contents(kubernetes) @ Registry()
    one_kind = {"$schema": schema["$schema"], "$ref": f"#/$defs/{MODELS[kind]}", "$defs": schema["$defs"]}
    return jsonschema.Draft202012Validator(one_kind, registry=registry)


def check_kserve(value: dict[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError where `value` is not what KServe's schema says of its kind."""
    validator(value["kind"], version).validate(value)
