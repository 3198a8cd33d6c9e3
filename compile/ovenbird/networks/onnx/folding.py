"""Parts of a model that do not depend on its inputs, computed while importing.

Exporters write shapes, axes and sizes as little programs of Shape, Gather, Cast, Concat ...; the converters want
their values. All is computed by the evaluator of the onnx package, one node at a time, within a bound on what a node
may make out of little (`Expand`, `Range`, `ConstantOfShape`).

    fold(node, schema, {"": 17}, {"x": np.array([1, 2])})      # the outputs' arrays, None where the node is to stay
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import TypeProto, defs, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

from ovenbird.errors import ImportFailed
from ovenbird.limits import MAX_FOLDED_ELEMENTS
from ovenbird.networks.onnx.dtypes import widened
from ovenbird_runtime.tensors.arrays import Array

GRAPHS = ("If", "Loop", "Scan", "SequenceMap")
"""Operators that hold graphs; a graph may read what is not the node's input."""

SAME_IN = {"QuantizeLinear": 19}
"""Versions that the evaluator has, of operators whose older ones mean the same and which it lacks."""

KEPT = ("DequantizeLinear",)
"""Operators whose converters compute what is known: weights of eight bits stay of eight bits."""

MAX_TOLD_ELEMENTS = 4096
"""Values that the inference of an output's shape gets: enough for any shape, axes or sizes."""


def foldable(node: Any, schema: Any) -> bool:
    """Return whether a node gives the same for the same inputs and holds no graph."""
    if schema is None or node.op_type in GRAPHS or node.op_type in KEPT:
        return False
    return bool(schema.node_determinism != defs.OpSchema.NodeDeterminism.NonDeterministic)


def fold(node: Any, schema: Any, opsets: Mapping[str, int], arrays: Mapping[str, Any]) -> list[Any] | None:
    """Compute a node whose inputs are all known; None where the result may be too large, or the evaluator lacks it.

    Raises ImportFailed where the node cannot be computed: then it is wrong in any network.
    """
    sequences = any(isinstance(array, list) for array in arrays.values())
    if not sequences and node.op_type != "Constant" and not _small(node, schema, opsets, arrays):
        return None
    least = SAME_IN.get(node.op_type, 0)
    imports = [helper.make_opsetid(name, version if name else max(version, least)) for name, version in opsets.items()]
    outputs = [name for name in node.output if name]
    graph = helper.make_graph(
        [node],
        "constant",
        [helper.make_value_info(name, _type(value)) for name, value in arrays.items()],
        [helper.make_value_info(name, TypeProto()) for name in outputs],
    )
    try:
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=imports))
    except Exception:  # noqa: BLE001 - it lacks that version of the operator, which its converter may have
        return None
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            found = iter(evaluator.run(None, dict(arrays)))
    except NotImplementedError:
        return None
    except Exception as error:  # noqa: BLE001 - whatever numpy and onnx raise of a wrong node
        text = str(error).strip().splitlines()
        what = f"{node.op_type} ({node.name})" if node.name else node.op_type
        raise ImportFailed(
            f"the operator {what} cannot be computed: {text[0] if text else type(error).__name__}"
        ) from None
    return [_carried(next(found)) if name else None for name in node.output]


def _carried(value: Any) -> Any:
    return [_carried(each) for each in value] if isinstance(value, list) else widened(value)


def _type(value: Any) -> Any:
    if isinstance(value, list):
        return helper.make_sequence_type_proto(_type(value[0]) if value else _type(np.zeros(1, np.float32)))
    return helper.make_tensor_type_proto(helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)


def _small(node: Any, schema: Any, opsets: Mapping[str, int], arrays: Mapping[str, Array]) -> bool:
    """Return whether no output has more elements than the inputs together, or than the limit."""
    limit = max(MAX_FOLDED_ELEMENTS, sum(array.size for array in arrays.values()))
    known = {
        name: numpy_helper.from_array(array, name)
        for name, array in arrays.items()
        if array.size <= MAX_TOLD_ELEMENTS and array.dtype.kind in "iufb"
    }
    try:
        inferred = shape_inference.infer_node_outputs(
            schema,
            node,
            {name: _type(array) for name, array in arrays.items()},
            known,
            opset_imports=[helper.make_opsetid(domain, version) for domain, version in opsets.items()],
        )
    except Exception:  # noqa: BLE001 - a node that inference refuses is refused with a better reason when it is run
        return True
    for name in node.output:
        shape = inferred[name].tensor_type.shape.dim if name in inferred else ()
        if math.prod(dim.dim_value for dim in shape if dim.HasField("dim_value")) > limit:
            return False
    return True
