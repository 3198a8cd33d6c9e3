"""Operators that are translated by TVM's own ONNX importer, named one by one: those that pass ONNX's node tests."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm.relax.frontend.onnx import onnx_frontend

from ovenbird.networks.onnx.node import Converter, Node, Value, as_expression

_MAP = onnx_frontend._get_convert_map()


def tvms_own(node: Node) -> Value:
    """Translate a node as TVM does."""
    inputs = onnx_frontend.onnx_input()
    inputs.extend(None if value is None else as_expression(value) for value in node.inputs)
    attributes: dict[str, Any] = {
        name: value.encode() if isinstance(value, str) else tuple(value) if isinstance(value, list) else value
        for name, value in node.attributes.items()
        if not isinstance(value, np.ndarray)
    }
    attributes["tvm_custom"] = {"name": node.name, "num_outputs": len(node.outputs)}
    convert = _MAP[node.op_type].get_converter(node.opset)
    result = node.builder.normalize(convert(node.builder, inputs, attributes, [{}, {}]))
    fields = getattr(result, "fields", None)
    return tuple(fields) if fields is not None else result


TVMS_OWN: dict[str, Converter] = dict.fromkeys(("GatherElements", "GatherND"), tvms_own)
