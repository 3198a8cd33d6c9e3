"""Images with the channels last, [N, H, W, C], floats in one precision.

What must be computed in float32 is converted around that operator alone; inputs and outputs keep their dtypes.

Example: in float16 a network's float32 input is cast once, where it enters.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ovenbird.lowering.form import Border, Form
from ovenbird.lowering.value import FLOATS, Value
from ovenbird.operators.writing.own import ImageLayout
from ovenbird_runtime.tensors.arrays import Array

TO_IMAGE, TO_PLAIN = (0, 2, 3, 1), (0, 3, 1, 2)


class ChannelsLastForm(Form):
    """Channels last; `precision` is "float32" or "float16", that of values in memory."""

    image_dtypes = FLOATS

    def __init__(self, builder: relax.BlockBuilder, precision: str) -> None:
        super().__init__(builder)
        self.precision = precision

    @property
    def image_layout(self) -> ImageLayout:
        """All channels behind each pixel."""
        return ImageLayout("channels_last")

    def to_image(self, value: Value) -> relax.Expr:
        """Emit the permutation."""
        assert value.plain is not None
        n, c, h, w = value.shape
        return self._moved(value.plain, TO_IMAGE, (n, h, w, c))

    def from_image(self, value: Value) -> relax.Expr:
        """Emit the permutation back."""
        assert value.image is not None
        return self._moved(value.image, TO_PLAIN, value.shape)

    def image_array(self, array: Array) -> Array:
        """Return the constant with its channels last."""
        return np.ascontiguousarray(array.transpose(TO_IMAGE))

    def pad_image(self, image: relax.Expr, border: Border) -> relax.Expr:
        """Emit the border as an operator."""
        top, left, bottom, right = border
        return self.builder.emit(relax.op.nn.pad(image, [0, 0, top, bottom, left, right, 0, 0]))

    def pad_plain(self, plain: relax.Expr, border: Border) -> relax.Expr:
        """Emit the border as an operator."""
        top, left, bottom, right = border
        return self.builder.emit(relax.op.nn.pad(plain, [0, 0, 0, 0, top, bottom, left, right]))

    def cast(self, expr: relax.Expr, dtype: str) -> relax.Expr:
        """Return the expression in another dtype."""
        if str(expr.ty.dtype) == dtype:
            return expr
        return self.builder.emit(relax.op.astype(expr, dtype))

    def narrowed(self, expr: relax.Expr) -> relax.Expr:
        """Return the expression in the compile's precision, if it is of floats."""
        return self.cast(expr, self.precision) if str(expr.ty.dtype) in FLOATS else expr

    def narrowed_array(self, array: Array) -> Array:
        """Return the constant in the compile's precision, if it is of floats."""
        return array.astype(self.precision) if str(array.dtype) in FLOATS else array

    def restored(self, expr: relax.Expr, ty: Any) -> relax.Expr:
        """Return the expression in the dtype that it has in the network."""
        return self.cast(expr, str(ty.dtype)) if isinstance(ty, relax.TensorType) else expr

    def _moved(self, expr: relax.Expr, axes: tuple[int, ...], shape: tuple[int, ...]) -> relax.Expr:
        lengths = [extent for extent in shape if extent != 1]
        moved_lengths = [int(expr.ty.shape.values[axis]) for axis in axes]
        still = [axis for axis in axes if int(expr.ty.shape.values[axis]) != 1]
        if still == sorted(still):  # only axes of one element move: a view
            assert [length for length in moved_lengths if length != 1] == lengths
            return self.builder.emit(relax.op.reshape(expr, shape))
        return self.builder.emit(relax.op.permute_dims(expr, list(axes)))
