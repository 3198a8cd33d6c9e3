"""Resizes as torch places and weighs pixels, one dimension after the other.

A resize is linear: each pixel of the result is a weighted sum of a few of the image. torch itself says of which, by
resizing an identity matrix, so every mode, every rounding of places and every filter is its own.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.composed.nearest import takes
from ovenbird.networks.torch.converters.converter import Arguments

SCALES = {"scales_d": -3, "scales_h": -2, "scales_w": -1, "scales": -1}
"""The dimension, from the end, that each of these arguments is about."""
MOST_TAPS = 6
"""Pixels of the image, for one of the result, up to which each is taken by itself; beyond, a matrix is multiplied."""


def resize(node: Any, importer: Any) -> Any:
    """Convert any `upsample_*` of one to three dimensions, antialiased or not."""
    given = Arguments.of(node, importer)
    name = node.target.__name__
    nearest = "nearest" in name
    if not nearest and not given.result.dtype.is_floating_point:
        raise UnsupportedOperator(
            f"{name} of {given.dtype} rounds in torch's own way; convert the image to float first"
        )
    before, after = given.shape_of("input" if "input" in given.nodes else "self")[2:], given.shape[2:]
    if "_aa" not in name and given.dtype == "float32" and len(after) == 2:
        plain = _plain(given, node, before, after)
        if plain is not None:
            return plain
    data = given["input" if "input" in given.nodes else "self"]
    for axis in range(len(after)):
        matrix = _matrix(node, before, after, axis)
        if matrix.shape[0] != matrix.shape[1] or not np.array_equal(matrix, np.eye(len(matrix), dtype=matrix.dtype)):
            data = apply_matrix(given, data, matrix, axis + 2)
    return data


def _plain(given: Arguments, node: Any, before: list[int], after: list[int]) -> Any:
    """Resize by TVM's operator, which has a schedule of its own, where it takes the pixels that torch takes."""
    from tvm import relax

    name, factors = node.target.__name__, given.values.get("scale_factors")
    if factors and not all(b * f == a for b, f, a in zip(before, factors, after, strict=True)):
        return None
    if name == "upsample_nearest2d.vec":
        if not all(takes(_matrix(node, before, after, axis).argmax(axis=1), before[axis]) for axis in range(2)):
            return None
        how = {"method": "nearest_neighbor", "coordinate_transformation_mode": "asymmetric", "rounding_method": "floor"}
    elif name == "upsample_bilinear2d.vec" and not (given["align_corners"] and 1 in after):  # it divides by after - 1
        places = "align_corners" if given["align_corners"] else "half_pixel"
        how = {"method": "linear", "coordinate_transformation_mode": places}
    else:
        return None
    return given.emit(relax.op.image.resize2d(given["input"], tuple(after), layout="NCHW", **how))


def _matrix(node: Any, before: list[int], after: list[int], axis: int) -> np.ndarray:
    """Return what torch makes of the identity along one dimension: float32 [after, before].

    The identity lies in this dimension and another, which keeps its size (torch's antialiasing errs on one of 1).
    """
    count, sides = before[axis], len(before)
    other = (axis + 1) % sides if sides > 1 else None
    shape = [count if place in (axis, other) else 1 for place in range(sides)]
    identity = torch.eye(count).reshape(1, 1 if sides > 1 else count, *shape)
    args: list[Any] = [identity]
    for argument, value in zip(node.target._schema.arguments[1:], _complete(node)[1:], strict=True):
        given = value
        if argument.name == "output_size" and value is not None:
            given = [after[axis] if place == axis else shape[place] for place in range(sides)]
        elif argument.name == "scale_factors" and value is not None:
            given = [factor if place == axis else 1.0 for place, factor in enumerate(value)]
        elif argument.name in SCALES:
            given = value if sides + SCALES[argument.name] == axis else None
        args.append(given)
    with torch.no_grad():
        resized = node.target(*args)
    ahead = other is not None and axis < other  # of the two dimensions, the one that was resized comes first
    flat: np.ndarray = resized.numpy().reshape([after[axis] if ahead else count, -1])
    return np.ascontiguousarray(flat if ahead else flat.T)


def _complete(node: Any) -> list[Any]:
    """Return the node's arguments, those left out by their defaults."""
    arguments = node.target._schema.arguments
    return [
        node.args[place] if place < len(node.args) else node.kwargs.get(argument.name, argument.default_value)
        for place, argument in enumerate(arguments)
    ]


def apply_matrix(given: Arguments, data: Any, matrix: np.ndarray, axis: int) -> Any:
    """Multiply one dimension by a matrix of few numbers a row."""
    from tvm import relax

    op = relax.op
    dtype = given.dtype
    taps = int((matrix != 0).sum(axis=1).max(initial=1))
    if taps > MOST_TAPS:
        last = len(given.shape) - 1
        order = [*(place for place in range(last + 1) if place != axis), axis]
        moved = data if axis == last else given.emit(op.permute_dims(data, order))
        rows = [int(extent) for extent in moved.ty.shape][:-1]
        moved = given.emit(op.reshape(moved, [-1, matrix.shape[1]]))
        moved = given.emit(op.matmul(moved, relax.const(np.ascontiguousarray(matrix.T).astype(dtype)), out_dtype=dtype))
        moved = given.emit(op.reshape(moved, [*rows, matrix.shape[0]]))
        back = [order.index(place) for place in range(last + 1)]
        return moved if axis == last else given.emit(op.permute_dims(moved, back))
    places = np.argsort(matrix == 0, axis=1, kind="stable")[:, :taps]
    weights = np.take_along_axis(matrix, places, axis=1)
    places = np.where(weights == 0, places[:, :1], places)
    shape = [1] * len(given.shape)
    shape[axis] = len(matrix)
    total: Any = None
    for tap in range(taps):
        part = given.emit(op.take(data, relax.const(places[:, tap].astype(np.int64)), axis, mode="clip"))
        if not (weights[:, tap] == 1).all():
            part = given.emit(op.multiply(part, relax.const(weights[:, tap].reshape(shape).astype(dtype))))
        total = part if total is None else given.emit(op.add(total, part))
    return total
