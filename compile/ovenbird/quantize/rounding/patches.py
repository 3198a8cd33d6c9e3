"""What layers multiply by their weights, as rows: an image under a kernel's window at some places, a matrix's rows.

patches = Patches(call, pictures=64)         # a convolution with a constant weight, or such a product of matrices
patches.add(array)                           # its operand, for one picture
patches.rows()                               # float32 [groups, rows, products], a picture's rows in one place
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.points import CONVOLUTIONS
from ovenbird_runtime.tensors.arrays import Array

ROWS = 2048
"""Rows of all pictures together."""
MAX_ROW = 4608
"""Products of a row, beyond which a layer's rows are not kept: their covariance would take the compiler's memory."""
LARGEST_HALF = 65504.0


class Patches:
    """Rows that one layer multiplies, drawn evenly, in float16."""

    def __init__(self, call: relax.Call, pictures: int) -> None:
        shape, attrs = static_shape(call.args[1]) or (), call.attrs
        self.convolves = call.op.name in CONVOLUTIONS
        self.kernel: tuple[int, ...] = shape[2:] if self.convolves else ()
        self.groups = int(attrs.groups) if self.convolves else 1
        self.row = int(np.prod(shape[1:])) if self.convolves else shape[0]
        self.wanted = -(-ROWS // pictures)
        self.window: list[list[int]] = []
        if self.convolves:
            self.window = [[int(one) for one in field] for field in (attrs.padding, attrs.strides, attrs.dilation)]
        self.found: list[Array] = []

    @property
    def kept(self) -> bool:
        """Whether rows of this length are kept at all."""
        return self.row <= MAX_ROW and (not self.convolves or len(self.kernel) == 2)

    def add(self, array: Array) -> None:
        """Take in what the layer reads for one picture, [1, C, H, W] or [..., K]."""
        if not self.kept:
            return
        random = np.random.default_rng(len(self.found))
        rows = self._patches(array, random) if self.convolves else self._some(array.reshape(-1, 1, self.row), random)
        self.found.append(np.clip(rows, -LARGEST_HALF, LARGEST_HALF).astype(np.float16))

    def rows(self) -> Array | None:
        """Return all rows; None where none were kept."""
        if not self.found:
            return None
        return np.ascontiguousarray(np.concatenate(self.found).astype(np.float32).swapaxes(0, 1))

    def _some(self, rows: Array, random: np.random.Generator) -> Array:
        return rows if len(rows) <= self.wanted else rows[random.choice(len(rows), self.wanted, replace=False)]

    def _patches(self, array: Array, random: np.random.Generator) -> Array:
        padding, strides, dilation = self.window
        top, left, bottom, right = padding if len(padding) == 4 else [*padding, *padding]
        image: Any = np.pad(array[0], ((0, 0), (top, bottom), (left, right)))
        sides = [
            (image.shape[axis + 1] - dilation[axis] * (self.kernel[axis] - 1) - 1) // strides[axis] + 1
            for axis in range(2)
        ]
        places = self._some(np.arange(sides[0] * sides[1]), random)
        above, before = places // sides[1] * strides[0], places % sides[1] * strides[1]
        found: Array = np.empty((len(places), image.shape[0], *self.kernel), np.float32)
        for row in range(self.kernel[0]):
            for column in range(self.kernel[1]):
                found[:, :, row, column] = image[:, above + row * dilation[0], before + column * dilation[1]].T
        return found.reshape(len(places), self.groups, self.row)
