"""Regions of images, places in them, and choices among boxes: RoiAlign, MaxRoiPool, AffineGrid, GridSample, DeformConv,
NMS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ovenbird.networks.composed.deformable import deform_conv2d
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal
from ovenbird.operators.indexing.sort import Sort
from ovenbird.operators.vision.deformable import DeformableColumns
from ovenbird.operators.vision.grid_sample import GridSample
from ovenbird.operators.vision.roi_align import RoiAlign
from ovenbird.operators.vision.roi_pool import RoiPool
from ovenbird.operators.vision.suppression import Suppression
from ovenbird.operators.writing.own import own_call


def roi_align(node: Node) -> relax.Expr:
    """`RoiAlign(image, regions, images' indices)`."""
    indices = node.emit(relax.op.astype(node.tensor(2), node.dtype(1)))
    column = node.emit(relax.op.reshape(indices, (node.shape(1)[0], 1)))
    regions = node.emit(relax.op.concat([column, node.tensor(1)], 1))
    operator = RoiAlign(
        (int(node.attribute("output_height", 1)), int(node.attribute("output_width", 1))),
        float(node.attribute("spatial_scale", 1.0)),
        int(node.attribute("sampling_ratio", 0)),
        node.attribute("coordinate_transformation_mode", "output_half_pixel") == "half_pixel",
        node.attribute("mode", "avg").lower(),
    )
    return floats(node, operator, node.tensor(0), regions)


def max_roi_pool(node: Node) -> relax.Expr:
    """`MaxRoiPool(image, regions)`."""
    rows, columns = node.attribute("pooled_shape")
    operator = RoiPool((int(rows), int(columns)), float(node.attribute("spatial_scale", 1.0)))
    return floats(node, operator, node.tensor(0), node.tensor(1))


def grid_sample(node: Node) -> relax.Expr:
    """`GridSample(image, grid)`, of two or three axes."""
    mode = node.attribute("mode", "linear").removeprefix("bi")
    if mode == "cubic" and len(node.shape(0)) != 4:
        raise node.refuse("cubic sampling is known for images of two axes only")
    if mode not in ("nearest", "linear", "cubic") or len(node.shape(0)) not in (4, 5):
        raise node.refuse(f"mode {mode!r} of a tensor of {len(node.shape(0))} axes is not known")
    operator = GridSample(mode, node.attribute("padding_mode", "zeros"), bool(node.attribute("align_corners", 0)))
    return floats(node, operator, node.tensor(0), node.tensor(1))


def affine_grid(node: Node) -> relax.Expr:
    """`AffineGrid(theta, size)`: the places of an image's pixels, [-1, 1] along each side, x first, by a matrix."""
    sides = node.integers(1, "size")[2:]
    aligned = bool(node.attribute("align_corners", 0))
    if aligned and 1 in sides:
        raise node.refuse("align_corners puts one pixel at both ends of its side; export it without, or with 2 pixels")
    lines = [np.linspace(-1, 1, side) if aligned else (2 * np.arange(side) + 1) / side - 1 for side in sides]
    places = np.stack([*np.meshgrid(*lines, indexing="ij")[::-1], np.ones(sides)], -1)
    pixels = literal(places.reshape(1, -1, len(sides) + 1).astype(node.dtype(0)))
    moved = node.emit(relax.op.matmul(pixels, node.emit(relax.op.permute_dims(node.tensor(0), [0, 2, 1]))))
    return relax.op.reshape(moved, [node.shape(0)[0], *sides, len(sides)])


def floats(node: Node, operator: Any, *tensors: relax.Expr) -> relax.Expr:
    """Call an operator on images, which computes in float32, and return its result in the image's dtype."""
    dtype = str(tensors[0].ty.dtype.dtype)
    wide = [node.emit(relax.op.astype(t, "float32")) if str(t.ty.dtype.dtype) != "float32" else t for t in tensors]
    result = node.emit(own_call(operator, *wide))
    return result if dtype == "float32" else relax.op.astype(result, dtype)


def deform_conv(node: Node) -> relax.Expr:
    """`DeformConv(image, weight, offsets, bias, mask)`."""
    if len(node.shape(0)) != 4 or node.dtype(0) != "float32":
        raise node.refuse(f"{node.dtype(0)} of {len(node.shape(0))} axes; known are float32 images of two axes")
    window, pads = node.shape(1)[2:], node.attribute("pads") or [0] * 4
    strides, dilations = node.attribute("strides") or [1, 1], node.attribute("dilations") or [1, 1]
    operator = DeformableColumns(
        (window[0], window[1]),
        (int(strides[0]), int(strides[1])),
        (int(pads[0]), int(pads[1])),
        (int(dilations[0]), int(dilations[1])),
        int(node.attribute("offset_group", 1)),
    )
    bias, mask = (node.tensor(index) if node.has(index) else None for index in (3, 4))
    return deform_conv2d(node.emit, operator, node.tensor(0), node.tensor(2), mask, node.tensor(1), bias)


def non_max_suppression(node: Node) -> relax.Expr:
    """`NonMaxSuppression(boxes, scores, most, overlap, least score)`, into as many rows as the model says."""
    declared = node.declared.get(node.outputs[0])
    if declared is None:
        raise node.refuse(
            "how many boxes it keeps depends on the image; state its output's shape in the model, [K, 3] (rows that "
            "no box takes are -1), or end the network before it (onnx.utils.extract_model, its first two inputs as "
            "outputs) and have the boxes chosen in the answer: --decode nms"
        )
    settings = [node.constant(index, what) if node.has(index) else None for index, what in PARAMETERS]
    most, overlap, least = (None if each is None else np.asarray(each).reshape(-1)[0] for each in settings)
    if not most:
        raise node.refuse("it keeps no box: max_output_boxes_per_class is 0 or left out")
    operator = Suppression(
        0.0 if overlap is None else float(overlap),
        None if least is None else float(least),
        int(min(most, node.shape(1)[2])),
        declared[0],
        corners=not node.attribute("center_point_box", 0),
    )
    boxes, scores = node.tensor(0), node.tensor(1)
    ordered = node.emit(own_call(Sort(2, descending=True), scores))
    order = node.emit(relax.TupleGetItem(ordered, 1))
    return relax.TupleGetItem(node.emit(own_call(operator, boxes, scores, order)), 0)


PARAMETERS = ((2, "max_output_boxes_per_class"), (3, "iou_threshold"), (4, "score_threshold"))

REGIONS: dict[str, OnnxConverter] = {
    "AffineGrid": affine_grid,
    "DeformConv": deform_conv,
    "GridSample": grid_sample,
    "MaxRoiPool": max_roi_pool,
    "NonMaxSuppression": non_max_suppression,
    "RoiAlign": roi_align,
}
