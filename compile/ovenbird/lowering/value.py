"""A tensor of the network while it is lowered: plain, as an image in the backend's layout, or both."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import relax

from ovenbird_runtime.tensors.arrays import Array

FLOATS = ("float16", "float32")
"""Floats that a form may keep in another precision than the network wrote them in."""


@dataclass
class Value:
    """One tensor. `shape` is the plain one; `Form` fills in whichever of `plain` and `image` is missing.

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

    @property
    def has_image(self) -> bool:
        """True if the image form is there, or only lacks its border."""
        return self.image is not None or (self.unpadded is not None and self.unpadded.has_image)
