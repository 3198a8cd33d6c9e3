"""Where each element of a resized axis comes from, as ONNX's `Resize` defines it: places and weights.

    axis = Axis(before=4, after=8, scale=2.0)
    places = coordinates(axis, "half_pixel")
    places, weights = taps(axis, places, "linear", antialias=False, outside=False, a=-0.75)

https://onnx.ai/onnx/operators/onnx__Resize.html. Coordinates are computed in float32, as ONNX Runtime and torch do:
at a half, which neighbour is nearest hangs on the rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird_runtime.tensors.arrays import Array

COORDINATES = (
    "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
)  # fmt: skip
ROUNDINGS = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True)
class Axis:
    """One dimension of a resize; `start` and `end` of the region are in parts of the axis."""

    before: int
    after: int
    scale: float
    start: float = 0.0
    end: float = 1.0

    @property
    def same(self) -> bool:
        """Whether nothing changes along it."""
        return self.before == self.after and math.isclose(self.scale, 1) and (self.start, self.end) == (0.0, 1.0)


def coordinates(axis: Axis, mode: str) -> Array:
    """Return the coordinate in the input of each element of the output."""
    one = np.float32(1)
    place = np.arange(axis.after, dtype=np.float32)
    scale = np.float32(axis.scale)
    length = scale * np.float32(axis.before)
    last = np.float32(axis.before - 1)
    if mode == "asymmetric":
        return np.asarray(place / scale)
    if mode == "tf_half_pixel_for_nn":  # versions 11 and 12
        return np.asarray((place + np.float32(0.5)) / scale)
    if mode == "align_corners":
        return np.zeros_like(place) if length == 1 else np.asarray(place * last / (length - one))
    if mode == "tf_crop_and_resize":
        span = np.float32(axis.end - axis.start) * last
        first = np.float32(axis.start) * last
        return (
            np.full_like(place, span / 2 + first) if length == 1 else np.asarray(place * span / (length - one) + first)
        )
    if mode == "pytorch_half_pixel" and length == 1:
        return np.full_like(place, -0.5)
    half = np.float32(0.5)
    centred = (place + half) / scale - half
    if mode == "half_pixel_symmetric":
        centred = centred + np.float32(axis.before / 2) * (one - np.float32(axis.after) / length)
    return np.asarray(centred)


def nearest(places: Array, before: int, rounding: str) -> Array:
    """Return the nearest element to each coordinate."""
    if rounding == "floor":
        found = np.floor(places)
    elif rounding == "ceil":
        found = np.ceil(places)
    elif rounding == "round_prefer_floor":
        found = np.ceil(places - np.float32(0.5))
    else:
        found = np.floor(places + np.float32(0.5))
    return np.clip(found, 0, before - 1).astype(np.int64)


def taps(axis: Axis, places: Array, kernel: str, antialias: bool, outside: bool, a: float) -> tuple[Array, Array]:
    """Return the elements around each coordinate and their weights, `[after, taps]`.

    `outside`: elements beyond the edge count (as the edge's). `a`: the cubic kernel's parameter.
    """
    stretch = max(1.0, 1.0 / axis.scale) if antialias else 1.0
    reach = (1 if kernel == "linear" else 2) * stretch
    exact = places.astype(np.float64)
    whole = np.floor(exact)
    offsets = np.arange(math.floor(-reach) + 1, math.ceil(reach) + 1)
    around = whole[:, None] + offsets[None, :]
    distance = np.abs(around - exact[:, None]) / stretch
    weights = np.maximum(1 - distance, 0) if kernel == "linear" else cubic(distance, a)
    if not outside:
        weights = np.where((around >= 0) & (around < axis.before), weights, 0)
    total = weights.sum(1, keepdims=True)
    if antialias or not outside:
        weights = weights / np.where(total == 0, 1, total)
    return np.clip(around, 0, axis.before - 1).astype(np.int64), weights


def cubic(distance: Array, a: float) -> Array:
    """Return Keys's kernel at these distances."""
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = ((a * distance - 5 * a) * distance + 8 * a) * distance - 4 * a
    return np.where(distance <= 1, near, np.where(distance < 2, far, 0))


def dense(axis: Axis, places: Array, weights: Array) -> Array:
    """Return the same as a matrix `[before, after]`."""
    matrix: Any = np.zeros((axis.before, axis.after))
    np.add.at(matrix, (places, np.broadcast_to(np.arange(axis.after)[:, None], places.shape)), weights)
    return np.asarray(matrix)
