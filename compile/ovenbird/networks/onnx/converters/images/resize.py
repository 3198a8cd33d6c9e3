"""`Resize` and `Upsample`: each axis by itself, from places and weights that are known while importing.

The common cases, whole factors and bilinear images, are the one operator that the backends lower.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from tvm import relax

from ovenbird.networks.composed.nearest import takes
from ovenbird.networks.onnx.converters.images.resampling_taps import (
    COORDINATES,
    ROUNDINGS,
    Axis,
    coordinates,
    dense,
    nearest,
    taps,
)
from ovenbird.networks.onnx.node import Node, OnnxConverter, literal

FEW = 4
"""Elements that are added one by one; more are a product with a matrix."""

BY_LENGTH = ("align_corners", "tf_crop_and_resize")
"""Modes that place pixels by the length that results, not by the scale."""
EXPORTERS = (
    "", "onnx.compose.merge_models", "onnx.quantize", "onnxmltools", "onnxruntime.transformers", "paddle",
    "paddlepaddle", "pytorch", "tf2onnx",
)  # fmt: skip
"""What writes frameworks' networks, or rewrites them, and what does not say: a length is of whole pixels there, 13
where 9 are scaled by 1.5, as in ONNX Runtime. The standard's tests and its evaluator mean 13.5.
"""
BY_OPERATOR = {
    "half_pixel": "half_pixel",
    "pytorch_half_pixel": "half_pixel",
    "align_corners": "align_corners",
    "asymmetric": "asymmetric",
}


def resize(node: Node) -> relax.Expr:
    """`Resize` from version 11 on; version 10 has scales only and places as `Upsample` does."""
    if node.version < 11:
        return upsample(node)
    mode = node.attribute("mode", "nearest")
    places = node.attribute("coordinate_transformation_mode", "half_pixel")
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    if mode not in ("nearest", "linear", "cubic") or places not in COORDINATES or rounding not in ROUNDINGS:
        raise node.refuse(f"mode {mode}, {places}, {rounding} is unknown")
    return resampled(node, axes_of(node), mode, places, rounding)


def upsample(node: Node) -> relax.Expr:
    """`Upsample`, and `Resize` of version 10: the first element of each step."""
    own = node.shape(0)
    scales = node.constant(1, "scales").tolist() if node.has(1) else list(node.attribute("scales"))
    axes = [Axis(extent, math.floor(extent * scale), scale) for extent, scale in zip(own, scales, strict=True)]
    smaller = any(scale < 1 for scale in scales)
    mode = "nearest" if node.attribute("mode", "nearest") == "nearest" else "linear"
    return resampled(node, axes, mode, "asymmetric", "ceil" if smaller and node.op_type == "Resize" else "floor")


def axes_of(node: Node) -> list[Axis]:
    """Return what becomes of each dimension."""
    own = node.shape(0)
    rank = len(own)
    chosen = [axis % rank for axis in node.attribute("axes") or range(rank)]
    found = [Axis(extent, extent, 1.0) for extent in own]
    region = [0.0] * len(chosen) + [1.0] * len(chosen)
    if node.attribute("coordinate_transformation_mode") == "tf_crop_and_resize":
        region = node.constant(1, "roi").tolist()
    scales = node.constant(2, "scales").tolist() if node.has(2) else []
    sizes = node.integers(3, "sizes") if node.has(3) else []
    if not scales and not sizes:
        raise node.refuse("neither scales nor sizes are given")
    if scales:
        # as ONNX Runtime: the product of two float32
        sizes = [
            int(np.floor(np.float32(scale) * np.float32(own[axis]))) for axis, scale in zip(chosen, scales, strict=True)
        ]
    else:
        scales = [size / own[axis] for axis, size in zip(chosen, sizes, strict=True)]
        policy = node.attribute("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            common = min(scales) if policy == "not_larger" else max(scales)
            scales = [common] * len(chosen)
            sizes = [int(common * own[axis] + 0.5) for axis in chosen]
    if node.producer.lower() in EXPORTERS and node.attribute("coordinate_transformation_mode") in BY_LENGTH:
        scales = [size / own[axis] for axis, size in zip(chosen, sizes, strict=True)]
    for index, axis in enumerate(chosen):
        if sizes[index] < 1:
            raise node.refuse(f"dimension {axis} of {list(own)} would have {sizes[index]} elements")
        found[axis] = Axis(
            own[axis], sizes[index], scales[index], float(region[index]), float(region[index + len(chosen)])
        )
    return found


def resampled(node: Node, axes: Sequence[Axis], mode: str, places: str, rounding: str) -> relax.Expr:
    """Return the first input resized along all axes."""
    data, dtype = node.tensor(0), node.dtype(0)
    changed = [index for index, axis in enumerate(axes) if not axis.same]
    if not changed:
        return data
    whole = not dtype.startswith("float") and mode != "nearest"
    if whole:
        data = node.emit(relax.op.astype(data, "float32"))
    by_operator = one_operator(node, data, axes, mode, places, rounding)
    if by_operator is not None:
        data = node.emit(by_operator)
    else:
        for index in changed:
            data = along(node, data, index, axes[index], mode, places, rounding)
    if not whole:
        return data
    from ovenbird.networks.onnx.converters.quantization import saturated

    return saturated(node, data, dtype)


def one_operator(
    node: Node, data: relax.Expr, axes: Sequence[Axis], mode: str, places: str, rounding: str
) -> relax.Expr | None:
    """Return the resize as the operator that the backends know, None where it would place pixels otherwise."""
    if len(axes) != 4 or not (axes[0].same and axes[1].same) or places not in BY_OPERATOR:
        return None
    image = axes[2:]
    size = (image[0].after, image[1].after)
    if mode == "nearest":
        if not all(takes(nearest(coordinates(axis, places), axis.before, rounding), axis.before) for axis in image):
            return None
        return relax.op.image.resize2d(
            data, size, layout="NCHW", method="nearest_neighbor",
            coordinate_transformation_mode="asymmetric", rounding_method="floor",
        )  # fmt: skip
    special = node.attribute("antialias", 0) or node.attribute("exclude_outside", 0)
    exact = all(math.isclose(axis.scale * axis.before, axis.after) and axis.after > 1 for axis in image)
    if mode != "linear" or special or not exact:
        return None
    return relax.op.image.resize2d(
        data, size, layout="NCHW", method="linear", coordinate_transformation_mode=BY_OPERATOR[places]
    )


def along(node: Node, data: relax.Expr, index: int, axis: Axis, mode: str, places: str, rounding: str) -> relax.Var:
    """Return a tensor resized along one axis."""
    exact = coordinates(axis, places)
    shape = [int(extent) for extent in data.ty.shape.values]
    aligned = [axis.after if place == index else 1 for place in range(len(shape))]
    dtype = str(data.ty.dtype.dtype)
    if mode == "nearest":
        result = node.take(data, nearest(exact, axis.before, rounding), index)
    else:
        around, weights = taps(
            axis,
            exact,
            mode,
            bool(node.attribute("antialias", 0)),
            not node.attribute("exclude_outside", 0),
            node.attribute("cubic_coeff_a", -0.75),
        )
        used = np.flatnonzero(np.any(weights != 0, axis=0))
        if len(used) <= FEW:
            parts = [
                node.emit(
                    relax.op.multiply(
                        node.take(data, around[:, tap], index),
                        literal(weights[:, tap].reshape(aligned).astype(dtype)),
                    )
                )
                for tap in used
            ]
            result = parts[0]
            for part in parts[1:]:
                result = node.emit(relax.op.add(result, part))
        else:
            order = [place for place in range(len(shape)) if place != index] + [index]
            back = [order.index(place) for place in range(len(shape))]
            last = node.emit(relax.op.permute_dims(data, order))
            matrix = literal(dense(axis, around, weights).astype(dtype))
            result = node.emit(relax.op.permute_dims(node.emit(relax.op.matmul(last, matrix)), back))
    if places == "tf_crop_and_resize":
        beyond = ((exact < 0) | (exact > axis.before - 1)).reshape(aligned)
        if beyond.any():
            value = literal(np.array(node.attribute("extrapolation_value", 0.0), dtype))
            result = node.emit(relax.op.where(literal(beyond), value, result))
    return result


RESIZE: dict[str, OnnxConverter] = {
    "Resize": resize,
    "Upsample": upsample,
}
