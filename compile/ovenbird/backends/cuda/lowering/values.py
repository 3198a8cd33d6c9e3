"""Values of the network while it is lowered for a GPU: plain (as the network wrote them), channels last, or both.

Floats are kept in the compile's precision; what must be computed in float32 is converted around that operator alone.

Example: a convolution asks for `values.image(x)`, a reshape behind it for `values.plain(x)`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

FLOATS = ("float16", "float32")
TO_IMAGE, TO_PLAIN = (0, 2, 3, 1), (0, 3, 1, 2)


@dataclass
class Value:
    """One tensor: `shape` is the plain one; `image` is the same tensor as [N, H, W, C].

    `unpadded` and `border` (top, left, bottom, right) say that it is another value inside zeros, not written out yet.
    """

    shape: tuple[int, ...]
    dtype: str
    plain: relax.Expr | None = None
    image: relax.Expr | None = None
    constant: np.ndarray[Any, Any] | None = None
    unpadded: Value | None = None
    border: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def has_image(self) -> bool:
        """True if the channels-last form is there, or only lacks its border."""
        return self.image is not None or (self.unpadded is not None and self.unpadded.has_image)


class Values:
    """Makes the missing form of a value, once."""

    def __init__(self, builder: relax.BlockBuilder, precision: str) -> None:
        self.builder = builder
        self.precision = precision

    def plain(self, value: Value) -> relax.Expr:
        """The value as the network wrote it."""
        self._add_border(value)
        if value.plain is None:
            assert value.image is not None
            value.plain = self._moved(value.image, TO_PLAIN, value.shape)
        return value.plain

    def image(self, value: Value) -> relax.Expr:
        """The value as [N, H, W, C]; it has four axes."""
        if value.image is None and value.constant is not None:
            moved = np.ascontiguousarray(value.constant.transpose(TO_IMAGE))
            value.image = relax.const(moved, value.dtype)
        self._add_border(value)
        if value.image is None:
            assert value.plain is not None
            n, c, h, w = value.shape
            value.image = self._moved(value.plain, TO_IMAGE, (n, h, w, c))
        return value.image

    def cast(self, expr: relax.Expr, dtype: str) -> relax.Expr:
        """The expression in another dtype."""
        if str(expr.ty.dtype) == dtype:
            return expr
        return self.builder.emit(relax.op.astype(expr, dtype))

    def narrowed(self, expr: relax.Expr) -> relax.Expr:
        """The expression in the compile's precision, if it is of floats."""
        return self.cast(expr, self.precision) if str(expr.ty.dtype) in FLOATS else expr

    def _moved(self, expr: relax.Expr, axes: tuple[int, ...], shape: tuple[int, ...]) -> relax.Expr:
        lengths = [extent for extent in shape if extent != 1]
        moved_lengths = [int(expr.ty.shape.values[axis]) for axis in axes]
        still = [axis for axis in axes if int(expr.ty.shape.values[axis]) != 1]
        if still == sorted(still):  # only axes of one element move: a view
            assert [length for length in moved_lengths if length != 1] == lengths
            return self.builder.emit(relax.op.reshape(expr, shape))
        return self.builder.emit(relax.op.permute_dims(expr, list(axes)))

    def _add_border(self, value: Value) -> None:
        inner = value.unpadded
        if inner is None or value.plain is not None or value.image is not None:
            return
        top, left, bottom, right = value.border
        if inner.has_image:
            widths = [0, 0, top, bottom, left, right, 0, 0]
            value.image = self.builder.emit(relax.op.nn.pad(self.image(inner), widths))
        else:
            widths = [0, 0, 0, 0, top, bottom, left, right]
            value.plain = self.builder.emit(relax.op.nn.pad(self.plain(inner), widths))
