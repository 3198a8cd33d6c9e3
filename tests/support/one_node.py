"""What ONNX Runtime computes for one operator.

(y,) = run_node("MaxRoiPool", [x, rois], pooled_shape=[7, 7])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def run_node(operator: str, inputs: Sequence[np.ndarray | None], outputs: int = 1, opset: int = 20, **attributes: Any):
    """Return the operator's outputs."""
    import onnx
    import onnxruntime
    from onnx import helper

    names = ["" if array is None else f"x{index}" for index, array in enumerate(inputs)]
    feeds = {name: array for name, array in zip(names, inputs, strict=True) if array is not None}
    results = [f"y{index}" for index in range(outputs)]
    graph = helper.make_graph(
        [helper.make_node(operator, names, results, **attributes)],
        operator,
        [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
            for name, array in feeds.items()
        ],
        [onnx.ValueInfoProto(name=name) for name in results],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)
