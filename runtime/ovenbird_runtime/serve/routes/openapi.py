"""The OpenAPI 3.1 document, made from the table of routes.

document(ROUTES)["paths"]["/v1/models/{model}:predict"]["post"]["summary"]
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ... import __version__
from ...limits import MAX_BEAMS, MAX_BOXES, MAX_PROMPT_CHARS, MAX_TILE_OVERLAP, MAX_TOKENS, MAX_TOP
from ...options import TILE_OVERLAP, PredictOptions
from ..http.messages import REASONS
from .route import Route

_ERROR = {
    "type": "object",
    "required": ["error", "type"],
    "properties": {"error": {"type": "string"}, "type": {"type": "string"}},
}
_TENSOR = {
    "type": "object",
    "required": ["name", "datatype", "shape"],
    "properties": {
        "name": {"type": "string"},
        "datatype": {"type": "string", "examples": ["FP32"]},
        "shape": {"type": "array", "items": {"type": "integer"}},
        "data": {"type": "array"},
        "parameters": {"type": "object"},
    },
}
_OPTIONS: dict[str, dict[str, Any]] = {
    "preprocess": {"type": "string"},
    "top": {"type": "integer", "minimum": 1, "maximum": MAX_TOP, "default": PredictOptions.top},
    "seed": {"type": "integer", "minimum": 0},
    "embedding": {"type": "boolean", "default": PredictOptions.embedding},
    "score": {"type": "number", "minimum": 0, "maximum": 1},
    "iou": {"type": "number", "minimum": 0, "maximum": 1},
    "max_boxes": {"type": "integer", "minimum": 1, "maximum": MAX_BOXES},
    "classes": {"type": "string", "description": "Labels or indices, with commas between them; in JSON also a list."},
    "agnostic": {"type": "boolean"},
    "image_size": {"type": "string", "examples": ["640", "320x480"]},
    "tiles": {"type": "string", "examples": ["640", "480x640", "network"]},
    "tile_overlap": {"type": "number", "minimum": 0, "maximum": MAX_TILE_OVERLAP, "default": TILE_OVERLAP},
    "prompt": {"type": "string", "maxLength": MAX_PROMPT_CHARS},
    "max_tokens": {"type": "integer", "minimum": 1, "maximum": MAX_TOKENS},
    "beams": {"type": "integer", "minimum": 1, "maximum": MAX_BEAMS},
    "stream": {"type": "boolean", "default": False, "description": "A text as it is written, in server-sent events."},
}
_SCHEMAS = {
    "Error": _ERROR,
    "Tensor": _TENSOR,
    "InferRequest": {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "inputs": {"type": "array", "items": {"$ref": "#/components/schemas/Tensor"}},
            "outputs": {"type": "array", "items": {"type": "object", "required": ["name"]}},
            "parameters": {"type": "object"},
        },
    },
    "GenerateRequest": {
        "type": "object",
        "required": ["image"],
        "properties": {
            "id": {"type": "string"},
            "text_input": {"type": "string", "maxLength": MAX_PROMPT_CHARS},
            "image": {"type": "string", "contentEncoding": "base64"},
            "parameters": {
                "type": "object",
                "properties": {name: _OPTIONS[name] for name in ("max_tokens", "beams", "preprocess", "seed")},
            },
        },
    },
    "PredictRequest": {
        "type": "object",
        "required": ["images"],
        "properties": {
            "images": {"type": "array", "items": {"type": "string", "contentEncoding": "base64"}},
            **_OPTIONS,
        },
    },
}
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODIES: dict[str, dict[str, Any]] = {
    "predict": {
        "image/*": _BINARY,
        "multipart/form-data": {
            "schema": {"type": "object", "properties": {"image": {"type": "string", "format": "binary"}}}
        },
        "application/json": {"schema": {"$ref": "#/components/schemas/PredictRequest"}},
    },
    "infer": {
        "application/json": {"schema": {"$ref": "#/components/schemas/InferRequest"}},
        "application/octet-stream": _BINARY,
    },
}
for _name in ("generate", "generate_stream"):
    _BODIES[_name] = {"application/json": {"schema": {"$ref": "#/components/schemas/GenerateRequest"}}}
_ERRORS = {"GET": (404, 503), "POST": (400, 404, 408, 413, 415, 429, 500, 503, 504)}
_CONTENT = {"page": "text/html", "metrics": "text/plain", "generate_stream": "text/event-stream"}


def document(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document."""
    paths: dict[str, Any] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ovenbird", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": _SCHEMAS},
    }


def _operation(route: Route) -> dict[str, Any]:
    names = re.findall(r"\{(\w+)\}", route.path)
    parameters = [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names]
    if route.name == "predict":
        parameters += [
            {"name": n, "in": "query", "required": False, "schema": schema} for n, schema in _OPTIONS.items()
        ]
    if route.method == "POST":
        schema = {"type": "integer", "minimum": 1}
        parameters.append({"name": "X-Request-Timeout-Ms", "in": "header", "required": False, "schema": schema})
    kind = _CONTENT.get(route.name, "application/json")
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    responses: dict[str, Any] = {"200": {"description": "OK", "content": {kind: {}}}}
    for status in _ERRORS[route.method]:
        responses[str(status)] = {"description": REASONS[status], "content": error}
    suffix = "_version" if "{version}" in route.path else ""
    operation: dict[str, Any] = {
        "operationId": route.name + suffix,
        "summary": route.summary,
        "parameters": parameters,
        "responses": responses,
    }
    if route.name in _BODIES:
        operation["requestBody"] = {"required": True, "content": _BODIES[route.name]}
    return operation
