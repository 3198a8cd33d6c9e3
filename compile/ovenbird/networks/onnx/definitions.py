"""The standard's own definitions of operators: defaults of attributes, and bodies of those that are functions.

schema_of("Swish", "", 24).since_version
body_of(node, schema, opset, input_types)       # a FunctionProto, None where the standard writes none
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, defs, helper, numpy_helper

MAIN_DOMAINS = ("", "ai.onnx")


def schema_of(operator: str, domain: str, opset: int) -> Any:
    """Return the operator's definition as of an opset, None where there is none."""
    try:
        return defs.get_schema(operator, opset, "" if domain in MAIN_DOMAINS else domain)
    except defs.SchemaError:
        return None


def attributes_of(node: Any, schema: Any) -> dict[str, Any]:
    """Return a node's attributes by name, the definition's defaults where it gives none."""
    given = {attribute.name: _plain(attribute) for attribute in node.attribute}
    defaults = {
        name: _plain(attribute.default_value)
        for name, attribute in (schema.attributes.items() if schema is not None else ())
        if attribute.default_value.type != AttributeProto.UNDEFINED
    }
    return {**defaults, **given}


def _plain(attribute: Any) -> Any:
    value = helper.get_attribute_value(attribute)
    if attribute.type == AttributeProto.STRING:
        return value.decode("utf-8", "replace")
    if attribute.type == AttributeProto.STRINGS:
        return [text.decode("utf-8", "replace") for text in value]
    if attribute.type == AttributeProto.TENSOR:
        return numpy_helper.to_array(value)
    if attribute.type in (AttributeProto.INTS, AttributeProto.FLOATS):
        return list(value)
    return value


def type_of(dtype: str, shape: Sequence[int]) -> Any:
    """Return a tensor's type as ONNX writes it."""
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape))


def body_of(node: Any, schema: Any, opset: int, inputs: Sequence[Any]) -> Any:
    """Return the standard's body of a node, None where there is none; `inputs`: types, an empty one if left out.

    The body is that of the opset. Some operators had words only at first (Elu, Selu), and then a body that says the
    same: theirs is the first.
    """
    found = _body(node, schema, opset, inputs)
    if found is None and (newest := schema_of(node.op_type, node.domain, MAX_OPSET)) is not None:
        found = _body(node, newest, min(_versions(newest), default=opset), inputs)
    return found


MAX_OPSET = 1_000_000
"""Beyond any version: the newest definition."""


def _versions(schema: Any) -> list[int]:
    """Return the opsets from which a definition has a body."""
    dependent = schema.context_dependent_function_opset_versions if schema.has_context_dependent_function else []
    return [*dependent, *(schema.function_opset_versions if schema.has_function else [])]


def _body(node: Any, schema: Any, opset: int, inputs: Sequence[Any]) -> Any:
    versions = [version for version in _versions(schema) if version <= opset]
    if not versions:
        return None
    if schema.has_context_dependent_function:
        types = [type_proto.SerializeToString() for type_proto in inputs]
        body = schema.get_context_dependent_function_with_opset_version(max(versions), node.SerializeToString(), types)
        return FunctionProto.FromString(body) if body else None
    return FunctionProto.FromString(schema.get_function_with_opset_version(max(versions)))


def called(node: Any, body: Any, attributes: dict[str, Any]) -> list[Any]:
    """Return the nodes of a function's body with the attributes of the call in place of their names."""
    given = {attribute.name: attribute for attribute in node.attribute}
    defaults = {attribute.name: attribute for attribute in body.attribute_proto}
    nodes = []
    for part in body.node:
        copy = NodeProto()
        copy.CopyFrom(part)
        del copy.attribute[:]
        for attribute in part.attribute:
            if not attribute.ref_attr_name:
                copy.attribute.append(attribute)
                continue
            name = attribute.ref_attr_name
            found = given.get(name) or defaults.get(name)
            if found is not None:
                copy.attribute.append(found)
                copy.attribute[-1].name = attribute.name
            elif attributes.get(name) is not None:
                copy.attribute.append(helper.make_attribute(attribute.name, attributes[name]))
        copy.name = f"{node.name}/{part.name or part.op_type}" if node.name else part.name
        nodes.append(copy)
    return nodes


def empty_type() -> Any:
    """Return the type of an input that is left out."""
    return TypeProto()
