"""Images in blocks of channels, [N, ceil(C/b), H, W, b]: a vector holds one pixel's next b channels.

Example: with b = 16, [1, 64, 56, 56] is [1, 4, 56, 56, 16]; lanes past C are zero. Only float32 is blocked.
"""

from __future__ import annotations

from collections.abc import Callable

from tvm import relax

from ovenbird.lowering.form import Border, Form
from ovenbird.lowering.operators.own import emit_kernel, reshaped
from ovenbird.lowering.value import Value
from ovenbird.operators import layout
from ovenbird.operators.conv2d import pad
from ovenbird.operators.movements.transposition import MOVEMENT, MovementKind
from ovenbird.operators.movements.zero_border import ZeroBorder
from ovenbird.operators.writing.own import PLAIN, ImageLayout, spec_of
from ovenbird_runtime.tensors.arrays import Array


class BlockedForm(Form):
    """Blocks of `block` channels, floats as they are."""

    image_dtypes = ("float32",)

    def __init__(self, builder: relax.BlockBuilder, block: int) -> None:
        super().__init__(builder)
        self.block = block

    @property
    def image_layout(self) -> ImageLayout:
        """Blocks of channels behind each pixel."""
        return ImageLayout("blocked", self.block)

    def to_image(self, value: Value) -> relax.Expr:
        """Emit the packing; of one pixel it is a reshape."""
        assert value.plain is not None
        batch, channels, height, width = value.shape
        if height == width == 1 and channels % self.block == 0:
            shape = (batch, channels // self.block, 1, 1, self.block)
            return self.builder.emit(relax.op.reshape(value.plain, shape))
        return self._moved("pack", layout.pack, value.plain, self.block)

    def from_image(self, value: Value) -> relax.Expr:
        """Emit the unpacking; of one pixel it is a reshape."""
        assert value.image is not None
        _, channels, height, width = value.shape
        if height == width == 1 and channels % self.block == 0:
            return self.builder.emit(relax.op.reshape(value.image, value.shape))
        return self._moved("unpack", layout.unpack, value.image, channels)

    def _moved(self, kind: MovementKind, function: Callable[..., object], tensor: relax.Expr, size: int) -> relax.Expr:
        """Emit a function that does nothing but move elements, marked as such."""
        attributes = {MOVEMENT: kind}
        return self.builder.emit_te(function, tensor, size, primfunc_name_hint=kind, primfunc_attrs=attributes)

    def image_array(self, array: Array) -> Array:
        """Return the constant in blocks of channels."""
        return layout.pack_channels(array, self.block)

    def pad_image(self, image: relax.Expr, border: Border) -> relax.Expr:
        """Emit a function of its own that writes the border."""
        return self.builder.emit_te(pad, image, border, primfunc_name_hint="pad")

    def pad_plain(self, plain: relax.Expr, border: Border) -> relax.Expr:
        """Emit a function of its own that writes the border."""
        if not any(border):
            return plain
        spec, operator = spec_of(plain), ZeroBorder(border)
        (result,) = emit_kernel(self, operator, [spec], PLAIN, [reshaped(self, plain, (spec.size,))])
        return reshaped(self, result, operator.outputs([spec])[0].shape)


class UnblockedForm(BlockedForm):
    """Every tensor as the network wrote it: no operator is asked for images (`optimisations`, layouts)."""

    def is_image(self, value: Value) -> bool:
        """Return False."""
        return False
