"""A model of half precision, all of its numbers in float32: what the compiled network is compared with.

    wide = in_float32(model)            # the model itself where it has no float16 and no bfloat16

Inputs, outputs, weights and casts become float32; the shapes and types that it states of its values are left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from onnx import AttributeProto, TensorProto, numpy_helper

HALVES = (TensorProto.FLOAT16, TensorProto.BFLOAT16)
TYPES = ("to", "dtype", "output_dtype", "stash_type", "softmax_precision")
"""Attributes that hold an element type."""


def in_float32(model: Any) -> Any:
    """Return the model in float32."""
    if not has_halves(model):
        return model
    result = type(model)()
    result.CopyFrom(model)
    _widen_graph(result.graph)
    for function in result.functions:
        _widen_nodes(function.node)
        del function.value_info[:]
    return result


def has_halves(model: Any) -> bool:
    """Return whether an input, an output, a weight or a cast is of half precision."""
    graph = model.graph
    values = (*graph.input, *graph.output)
    nodes = [*graph.node, *(node for function in model.functions for node in function.node)]
    return (
        any(tensor.data_type in HALVES for tensor in graph.initializer)
        or any(value.type.tensor_type.elem_type in HALVES for value in values)
        or any(_is_half(attribute) for node in nodes for attribute in node.attribute)
    )


def _is_half(attribute: Any) -> bool:
    if attribute.type == AttributeProto.TENSOR:
        return attribute.t.data_type in HALVES
    return attribute.name in TYPES and attribute.i in HALVES


def _widen_graph(graph: Any) -> None:
    for tensor in graph.initializer:
        _widen_tensor(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type in HALVES:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    del graph.value_info[:]
    _widen_nodes(graph.node)


def _widen_nodes(nodes: Iterable[Any]) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                _widen_graph(attribute.g)
            elif attribute.type == AttributeProto.TENSOR:
                _widen_tensor(attribute.t)
            elif attribute.name in TYPES and attribute.i in HALVES:
                attribute.i = TensorProto.FLOAT


def _widen_tensor(tensor: Any) -> None:
    if tensor.data_type in HALVES:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float32), tensor.name))
