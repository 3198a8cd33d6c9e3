"""A tensor of the network while it is lowered: plain, as an image in the backend's layout, or both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from tvm import relax

from ovenbird_runtime.tensors.arrays import Array

FLOATS = ("float16", "float32")
"""Floats that a form may keep in another precision than the network wrote them in."""


@dataclass(frozen=True)
class Levels:
    """Whole numbers of 8 bits that stand for floats: `(value - zero) * scale`.

    Of an activation they are uint8 with one scale; of constant weights int8 around 0, with a scale for each place along
    one axis: an array with as many axes as the weights, all but that one of extent 1.
    """

    value: Value
    scale: Array
    zero: int = 0

    def same_grid(self, other: Levels) -> bool:
        """Return whether equal levels stand for equal floats; both have one scale."""
        return self.zero == other.zero and float(self.scale) == float(other.scale)


class Deferred(Protocol):
    """Sums of products of levels that nobody has asked for yet: what follows may still become a part of them."""

    @property
    def image(self) -> bool:
        """Whether they come as an image."""

    def emit(self, form: Any) -> relax.Expr:
        """Emit them as floats, in the form they have."""


@dataclass
class Value:
    """One tensor. `shape` is the plain one; `Form` fills in whichever of `plain` and `image` is missing.

    `levels` says which levels it stands for: an operator that knows them takes them, any other has them made floats.

    `rounded` is the image in bfloat16, bits as uint16, where something has asked for that.

    `unpadded` and `padding` (top, left, bottom, right) say that the value is another one inside a border of zeros: a
    convolution takes that border into its own padding, and it is written out only for others.
    """

    shape: tuple[int, ...]
    dtype: str
    plain: relax.Expr | None = None
    image: relax.Expr | None = None
    constant: Array | None = None
    unpadded: Value | None = None
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    levels: Levels | None = None
    pending: Deferred | None = None
    rounded: relax.Expr | None = None

    @property
    def has_image(self) -> bool:
        """True if the image form is there, or only lacks its border or its making."""
        inner = self.unpadded if self.levels is None else self.levels.value
        waiting = self.pending is not None and self.pending.image
        return self.image is not None or waiting or (inner is not None and inner.has_image)
