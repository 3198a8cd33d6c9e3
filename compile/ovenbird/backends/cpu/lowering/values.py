"""Values of the network while it is lowered: each may exist plain (NCHW), blocked (NCHW{b}c), or both.

Example: a convolution asks for `values.blocked(x)`; a reshape behind it asks for `values.plain(x)`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax

from ovenbird.operators import layout
from ovenbird.operators.conv2d import pad


@dataclass
class Value:
    """One tensor of the network. `shape` is the plain shape; `Values` fills whichever form is missing.

    `unpadded` and `padding` (top, left, bottom, right) say that the value is another one inside a border of zeros: a
    convolution takes that border into its own padding, and it is written out only for others.
    """

    shape: tuple[int, ...]
    dtype: str
    plain: relax.Expr | None = None
    blocked: relax.Expr | None = None
    constant: np.ndarray | None = None
    unpadded: Value | None = None
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def has_blocked_form(self) -> bool:
        """True if the blocked form is there, or only lacks its border."""
        return self.blocked is not None or (self.unpadded is not None and self.unpadded.has_blocked_form)

    @property
    def is_image(self) -> bool:
        """True for a [N, C, H, W] float tensor, the only kind that is ever blocked."""
        return len(self.shape) == 4 and self.dtype == "float32"


class Values:
    """Makes the missing form of a value, once."""

    def __init__(self, builder: relax.BlockBuilder, block: int) -> None:
        self.builder = builder
        self.block = block

    def plain(self, value: Value) -> relax.Expr:
        """The value as the network wrote it."""
        if value.plain is None:
            self.add_border(value)
        if value.plain is None:
            assert value.blocked is not None
            _, channels, height, width = value.shape
            if height == width == 1 and channels % self.block == 0:
                value.plain = self.builder.emit(relax.op.reshape(value.blocked, value.shape))
            else:
                value.plain = self.builder.emit_te(layout.unpack, value.blocked, channels, primfunc_name_hint="unpack")
        return value.plain

    def blocked(self, value: Value) -> relax.Expr:
        """The value as [N, ceil(C/b), H, W, b]."""
        if value.blocked is None:
            if value.constant is not None:
                value.blocked = relax.const(layout.pack_channels(value.constant, self.block), value.dtype)
                return value.blocked
            self.add_border(value)
        if value.blocked is None:
            assert value.plain is not None
            batch, channels, height, width = value.shape
            if height == width == 1 and channels % self.block == 0:
                shape = (batch, channels // self.block, 1, 1, self.block)
                value.blocked = self.builder.emit(relax.op.reshape(value.plain, shape))
            else:
                value.blocked = self.builder.emit_te(layout.pack, value.plain, self.block, primfunc_name_hint="pack")
        return value.blocked

    def add_border(self, value: Value) -> None:
        """Writes out a value that so far is another one inside a border of zeros, in the form which that one has."""
        inner = value.unpadded
        if inner is None or value.plain is not None or value.blocked is not None:
            return
        if inner.has_blocked_form:
            value.blocked = self.builder.emit_te(pad, self.blocked(inner), value.padding, primfunc_name_hint="pad")
        else:
            value.plain = self.builder.emit_te(pad, self.plain(inner), value.padding, primfunc_name_hint="pad")
