"""The weights of a resize along one axis, as whole numbers: the very ones that Pillow uses.

    taps = taps_of("bilinear", size=500, resized=341, start=58, count=224)
    taps.starts, taps.weights             # int32 [224] and [224, K]: pixel i is sum(weights[i] * row[starts[i]:][:K])

Pillow resizes 8-bit images in fixed point (`src/libImaging/Resample.c`): weights are computed in float64, scaled by
2**22 and rounded, so that pixels do not depend on the processor. Done alike, the pixels are the same, bit for bit. A
filter widens where it shrinks (antialiasing).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array, aligned_empty

PRECISION_BITS = 22

Filter = Literal["bilinear", "bicubic"]
"""Lanczos is left to Pillow: a sine is not the same in every library, a polynomial is."""

_SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}


@dataclass(frozen=True)
class Taps:
    """For each of N pixels along an axis: where its K source pixels begin, and their weights times 2**22."""

    starts: Array
    """int32 [N], ascending; `starts + K` stays within the axis."""
    weights: Array
    """int32 [N, K]."""

    @property
    def first(self) -> int:
        """The first source pixel that is needed."""
        return int(self.starts[0])

    @property
    def extent(self) -> int:
        """How many source pixels are needed, from the first one on."""
        return int(self.starts[-1]) + int(self.weights.shape[1]) - self.first


@lru_cache(maxsize=512)
def taps_of(filter_name: Filter, size: int, resized: int, start: int, count: int) -> Taps:
    """Return the taps of pixels `start` to `start + count` of an axis of `size` pixels that becomes `resized` long."""
    scale = size / resized
    stretch = max(scale, 1.0)
    support = _SUPPORT[filter_name] * stretch
    centres = (np.arange(start, start + count) + 0.5) * scale
    begins = np.maximum((centres - support + 0.5).astype(np.int64), 0)
    ends = np.minimum((centres + support + 0.5).astype(np.int64), size)
    length = int((ends - begins).max())
    places = np.arange(length) + begins[:, None]
    values = _filter(filter_name, (places - centres[:, None] + 0.5) * (1.0 / stretch))
    values[places >= ends[:, None]] = 0.0
    totals = np.zeros(count)
    for place in range(length):  # one after the other, as Pillow adds them: a sum by pairs rounds differently
        totals += values[:, place]
    values /= totals[:, None]
    whole = np.trunc(values * (1 << PRECISION_BITS) + np.where(values < 0, -0.5, 0.5)).astype(np.int32)
    starts = np.minimum(begins, size - length)  # near the end the window begins earlier, with zeros before it
    shifts = (begins - starts)[:, None]
    from_place = np.arange(length) - shifts
    weights = np.where(from_place >= 0, np.take_along_axis(whole, np.maximum(from_place, 0), axis=1), 0)
    return Taps(_aligned(starts), _aligned(weights))


def _filter(name: Filter, x: Array) -> Array:
    """Evaluate the filter in float64, operation by operation as Pillow does; cubic
    convolution with a = -0.5 (Keys, 1981).
    """
    x = np.abs(x)
    if name == "bilinear":
        return np.where(x < 1.0, 1.0 - x, 0.0)
    a = -0.5
    near = ((a + 2.0) * x - (a + 3.0)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1.0, near, np.where(x < 2.0, far, 0.0))


def _aligned(values: Array) -> Array:
    result = aligned_empty(values.shape, "int32")
    result[...] = values
    return result
