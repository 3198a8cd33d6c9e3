"""How a backend keeps values: the layout of its images, and the precision of its floats.

A convolution asks for `form.image(x)`, a reshape behind it for `form.plain(x)`; the conversion is emitted where the two
meet, once. `lowering.blocked` and `lowering.channels_last` are the two forms.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from tvm import relax

from ovenbird.lowering.value import Levels, Value
from ovenbird.operators.quantized.rounding import dequantize
from ovenbird.operators.writing.own import ImageLayout
from ovenbird_runtime.tensors.arrays import Array

Border = tuple[int, int, int, int]


class Form(ABC):
    """Converts values between what the network wrote and what a backend's handlers take."""

    image_dtypes: tuple[str, ...]
    """The dtypes of tensors that may be images."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self.builder = builder

    @property
    @abstractmethod
    def image_layout(self) -> ImageLayout:
        """Where the channels of an image lie, for kernels that are written for any layout."""

    def is_image(self, value: Value) -> bool:
        """Return whether the value is a [N, C, H, W] tensor of floats, or levels that lie as an image already."""
        return len(value.shape) == 4 and (value.dtype in self.image_dtypes or value.image is not None)

    def plain(self, value: Value) -> relax.Expr:
        """Return the value as the network wrote it."""
        if value.plain is None:
            self._add_border(value)
            self.settle(value)
        if value.plain is None and value.constant is not None:
            value.plain = relax.const(value.constant, value.dtype)
        if value.plain is None and value.levels is not None:
            return self._dequantized(self.plain(value.levels.value), value.levels)
        if value.plain is None:
            value.plain = self.from_image(value)
        return value.plain

    def image(self, value: Value) -> relax.Expr:
        """Return the value, which has four axes, in the layout of images."""
        if value.image is None and value.constant is not None:
            value.image = relax.const(self.image_array(value.constant), value.dtype)
        if value.image is None:
            self._add_border(value)
            self.settle(value)
        if value.image is None and value.plain is None and value.levels is not None:
            return self._dequantized(self.image(value.levels.value), value.levels)
        if value.image is None:
            value.image = self.to_image(value)
        return value.image

    def _dequantized(self, levels: relax.Expr, grid: Levels) -> relax.Expr:
        """Emit levels as floats, anew for each that reads them: it fuses into the reader, and stays out of memory."""
        scale, zero = float(grid.scale), grid.zero
        return self.builder.emit_te(dequantize, levels, scale, zero, primfunc_name_hint="dequantize")

    def settle(self, value: Value) -> None:
        """Emit what was pending, as floats."""
        if value.pending is not None and value.pending.image:
            value.image, value.pending = value.pending.emit(self), None
        elif value.pending is not None:
            value.plain, value.pending = value.pending.emit(self), None

    def _add_border(self, value: Value) -> None:
        """Write out a value that so far is another one inside a border of zeros, in the form which that one has."""
        inner = value.unpadded
        if inner is None or value.plain is not None or value.image is not None:
            return
        if inner.has_image:
            value.image = self.pad_image(self.image(inner), value.padding)
        else:
            value.plain = self.pad_plain(self.plain(inner), value.padding)

    @abstractmethod
    def to_image(self, value: Value) -> relax.Expr:
        """Emit the image form of a value whose plain form is there."""

    @abstractmethod
    def from_image(self, value: Value) -> relax.Expr:
        """Emit the plain form of a value whose image form is there."""

    @abstractmethod
    def image_array(self, array: Array) -> Array:
        """Return a constant [N, C, H, W] in the layout of images."""

    @abstractmethod
    def pad_image(self, image: relax.Expr, border: Border) -> relax.Expr:
        """Emit an image inside a border of zeros."""

    @abstractmethod
    def pad_plain(self, plain: relax.Expr, border: Border) -> relax.Expr:
        """Emit a plain [N, C, H, W] inside a border of zeros."""

    def narrowed(self, expr: relax.Expr) -> relax.Expr:
        """Return the expression in the form's precision, if it is of floats; here: as it is."""
        return expr

    def narrowed_array(self, array: Array) -> Array:
        """Return a constant in the form's precision, if it is of floats; here: as it is."""
        return array

    def restored(self, expr: relax.Expr, ty: Any) -> relax.Expr:
        """Return a plain expression in the type that it has in the network; here: as it is."""
        return expr
