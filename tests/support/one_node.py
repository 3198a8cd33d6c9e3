"""ONNX models of one operator, and what ONNX Runtime computes for them.

(y,) = run_node("MaxRoiPool", [x, rois], pooled_shape=[7, 7])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

Inputs = Sequence[np.ndarray | None]


def model_of(
    operator: str,
    inputs: Inputs,
    outputs: int = 1,
    opset: int = 20,
    constants: Sequence[int] = (),
    shapes: Sequence[Sequence[int] | None] = (),
    **attributes: Any,
) -> Any:
    """Return a model; `constants`: which inputs are part of it; `shapes`: what it states of its outputs."""
    import onnx
    from onnx import helper, numpy_helper

    given = {f"x{index}": array for index, array in enumerate(inputs) if array is not None}
    names = [f"x{index}" if array is not None else "" for index, array in enumerate(inputs)]
    results = [f"y{index}" for index in range(outputs)]
    held = {f"x{index}" for index in constants}
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, **attributes)],
        operator,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in given.items()
            if name not in held
        ],
        [onnx.ValueInfoProto(name=name) for name in results],
        [numpy_helper.from_array(array, name) for name, array in given.items() if name in held],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    model = onnx.shape_inference.infer_shapes(model)
    for output, shape in zip(model.graph.output, shapes, strict=False):
        if shape is not None:
            output.type.tensor_type.ClearField("shape")
            for extent in shape:
                output.type.tensor_type.shape.dim.add().dim_value = extent
    return model


def feeds_of(model: Any, inputs: Inputs) -> dict[str, np.ndarray]:
    """Return the arrays that a model of one operator is given, by name."""
    names = {value.name for value in model.graph.input}
    return {f"x{index}": array for index, array in enumerate(inputs) if array is not None and f"x{index}" in names}


def run_model(model: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Return what ONNX Runtime computes."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)


def run_node(operator: str, inputs: Inputs, outputs: int = 1, opset: int = 20, **attributes: Any) -> list[np.ndarray]:
    """Return the operator's outputs."""
    model = model_of(operator, inputs, outputs, opset, **attributes)
    return run_model(model, feeds_of(model, inputs))
