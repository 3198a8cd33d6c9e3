"""ONNX's forms of the operators that two-stage detectors have of ours, so that peers run the very same network.

    register()                      # before torch.onnx.export

`NonMaxSuppression` once for an image, groups moved apart as torchvision's `batched_nms` does; `RoiAlign` once for a
level, on the regions that belong there, as torchvision's `MultiScaleRoIAlign` is exported.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.onnx import symbolic_helper

OPSET = 17


def register() -> None:
    """Register both with torch's exporter."""
    torch.onnx.register_custom_op_symbolic("ovenbird::grouped_nms", _grouped_nms, OPSET)
    torch.onnx.register_custom_op_symbolic("ovenbird::pool_regions", _pool_regions, OPSET)


def _constant(g: Any, values: Any, dtype: torch.dtype = torch.int64) -> Any:
    return g.op("Constant", value_t=torch.tensor(values, dtype=dtype))


def _side(g: Any, tensor: Any, axis: int) -> Any:
    """Return how long an axis is, int64 [1]; the exporter does not know it behind operators that it does not know."""
    return g.op("Gather", g.op("Shape", tensor), _constant(g, [axis]), axis_i=0)


def _cast(g: Any, value: Any, dtype: torch.onnx.TensorProtoDataType) -> Any:
    return g.op("Cast", value, to_i=int(dtype))


@symbolic_helper.parse_args("v", "v", "v", "f", "i")
def _grouped_nms(g: Any, boxes: Any, scores: Any, groups: Any, iou: float, capacity: int) -> Any:
    if symbolic_helper._get_tensor_sizes(boxes)[0] not in (1, None):
        raise ValueError("grouped_nms of more than one image has no ONNX form here")
    flat = g.op("Reshape", boxes, _constant(g, [-1]))
    apart = g.op("Add", g.op("ReduceMax", flat, keepdims_i=0), _constant(g, 1.0, torch.float32))
    shift = g.op("Mul", _cast(g, groups, torch.onnx.TensorProtoDataType.FLOAT), apart)
    moved = g.op("Add", boxes, g.op("Unsqueeze", shift, _constant(g, [2])))
    limits = (_constant(g, [iou], torch.float32), _constant(g, [-0.5], torch.float32))
    rows = g.op("Unsqueeze", scores, _constant(g, [1]))
    found = g.op("NonMaxSuppression", moved, rows, _constant(g, [capacity]), *limits)
    kept = g.op("Gather", found, _constant(g, 2), axis_i=1)
    padded = g.op("Concat", kept, _constant(g, [-1] * capacity), axis_i=0)
    first = g.op("Slice", padded, _constant(g, [0]), _constant(g, [capacity]), _constant(g, [0]))
    return g.op("Reshape", first, _constant(g, [1, capacity]))


def _pool_regions(g: Any, maps: Any, regions: Any, levels: Any, scales: Any, size: Any, samples: Any) -> Any:
    size, samples = (symbolic_helper._get_const(value, "i", "") for value in (size, samples))
    scales = symbolic_helper._get_const(scales, "fs", "scales")
    tensors = symbolic_helper._unpack_list(maps)
    counts = (_side(g, regions, 0), _side(g, tensors[0], 1), _constant(g, [size, size]))
    pooled = g.op("Expand", _constant(g, 0.0, torch.float32), g.op("Concat", *counts, axis_i=0))
    numbers = _cast(g, g.op("Gather", regions, _constant(g, 0), axis_i=1), torch.onnx.TensorProtoDataType.INT64)
    corners = g.op("Slice", regions, _constant(g, [1]), _constant(g, [5]), _constant(g, [1]))
    for level, (one, scale) in enumerate(zip(tensors, scales, strict=True)):
        own = g.op("Equal", levels, _constant(g, level, torch.int32))
        rows = g.op("NonZero", own)
        places = g.op("Squeeze", rows, _constant(g, [0]))
        part = g.op(
            "RoiAlign", one, g.op("Gather", corners, places, axis_i=0), g.op("Gather", numbers, places, axis_i=0),
            coordinate_transformation_mode_s="output_half_pixel", mode_s="avg", output_height_i=size,
            output_width_i=size, sampling_ratio_i=samples, spatial_scale_f=scale,
        )  # fmt: skip
        pooled = g.op("ScatterND", pooled, g.op("Transpose", rows, perm_i=[1, 0]), part)
    return pooled
