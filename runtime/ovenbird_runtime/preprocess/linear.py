"""OpenCV's `INTER_LINEAR` for 8 bits a channel, bit for bit: four pixels around each place, whatever the scale.

    across = linear_taps(500, 416, 0, 416)      # starts int32 [416, 2] and weights int32 [416, 2], times 2**11
    resize_linear(pixels, (416, 312))           # uint8 [312, 416, 3]; width and height, as Pillow has them

Centres of pixels lie at halves, there is no antialiasing. Numbers as `modules/imgproc/src/resize.cpp` has them: places
in float32, weights rounded to 11 bits; 4 bits are cut of the sum along a row and 16 of each of two rows' products, the
last two are rounded.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array, aligned_empty

WEIGHT_BITS = 11
ROW_SHIFT, PRODUCT_SHIFT, LAST_SHIFT = 4, 16, 2
"""What is cut of a row's sum and of each row's product, and rounded off in the end: 22 bits in all."""


@dataclass(frozen=True)
class LinearTaps:
    """For each of N pixels along an axis: the two source pixels it lies between, and their weights."""

    starts: Array
    """int32 [N, 2], within the axis."""
    weights: Array
    """int32 [N, 2], times 2**11."""


@lru_cache(maxsize=512)
def linear_taps(size: int, resized: int, start: int, count: int, rows: bool = False) -> LinearTaps:
    """Return the taps of pixels `start` to `start + count` of an axis of `size` pixels that becomes `resized` long.

    At an edge a pixel along a row takes the last one whole; a row (`rows`) takes the last one twice, its weights as
    they are, whose products are cut apart: OpenCV's pixels depend on it.
    """
    centres = ((np.arange(start, start + count) + 0.5) * (1.0 / (resized / size)) - 0.5).astype(np.float32)
    first = np.floor(centres).astype(np.int64)
    part = centres - first.astype(np.float32)
    if not rows:
        part[(first < 0) | (first >= size - 1)] = 0.0
        first = np.clip(first, 0, size - 1)
    weights = np.stack([np.float32(1.0) - part, part], axis=1) * np.float32(1 << WEIGHT_BITS)
    places = np.clip(np.stack([first, first + 1], axis=1), 0, size - 1)
    return LinearTaps(_aligned(places), _aligned(np.rint(weights)))


def resize_linear(pixels: Array, size: tuple[int, int]) -> Array:
    """Return an image uint8 [height, width, channels] at `size` (width, height)."""
    across = linear_taps(pixels.shape[1], size[0], 0, size[0])
    down = linear_taps(pixels.shape[0], size[1], 0, size[1], rows=True)

    def rows(tap: int) -> Array:
        source = pixels[down.starts[:, tap]]
        total = np.multiply(source[:, across.starts[:, 0]], across.weights[:, :1], dtype=np.int32)
        total += np.multiply(source[:, across.starts[:, 1]], across.weights[:, 1:], dtype=np.int32)
        return ((total >> ROW_SHIFT) * down.weights[:, tap, None, None]) >> PRODUCT_SHIFT

    return ((rows(0) + rows(1) + (1 << LAST_SHIFT >> 1)) >> LAST_SHIFT).astype(np.uint8)


def _aligned(values: Array) -> Array:
    result = aligned_empty(values.shape, "int32")
    result[...] = values
    return result
