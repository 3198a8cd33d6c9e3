"""Resizes as torch places their pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tvm import relax


def nearest(node: Any, importer: Any) -> relax.Var:
    """`upsample_nearest2d(input, size or None, factors or None)`: torch takes floor(place * step).

    TVM's importer takes the pixel whose centre is nearest, which differs wherever the factor is not whole.
    """
    size = Upsampling.read(node, importer, factors=2)
    if size.steps is None:
        return size.resize("nearest_neighbor", "asymmetric", "floor")
    data = size.data
    for axis, (before, after, step) in enumerate(zip(size.before, size.after, size.steps, strict=True), start=2):
        places = np.floor(np.arange(after, dtype=np.float32) * np.float32(step)).astype(np.int64)
        data = size.take(data, places, before, axis)
    return data


def bilinear(node: Any, importer: Any) -> relax.Var:
    """`upsample_bilinear2d(input, size or None, align_corners, factors or None)`: between the two pixels around
    (place + 0.5) * step - 0.5, or around place * (input - 1) / (output - 1) where corners are aligned.
    """
    from tvm import relax

    size = Upsampling.read(node, importer, factors=3)
    aligned = bool(node.args[2])
    if aligned or size.steps is None:
        return size.resize("linear", "align_corners" if aligned else "half_pixel", "")
    data = size.data
    for axis, (before, after, step) in enumerate(zip(size.before, size.after, size.steps, strict=True), start=2):
        exact = np.maximum(
            (np.arange(after, dtype=np.float32) + np.float32(0.5)) * np.float32(step) - np.float32(0.5), 0
        )
        low = np.minimum(np.floor(exact), before - 1)
        shape = [1] * 4
        shape[axis] = after
        share = relax.const((exact - low).astype(np.float32).reshape(shape))
        first = size.take(data, low.astype(np.int64), before, axis)
        second = size.take(data, low.astype(np.int64) + 1, before, axis)
        difference = size.emit(relax.op.multiply(size.emit(relax.op.subtract(second, first)), share))
        data = size.emit(relax.op.add(first, difference))
    return data


@dataclass(frozen=True)
class Upsampling:
    """A resize as torch describes it: the image, both sizes, and the step between places where that is not
    before / after.

    A factor that is not whole, as 1.5 of 13 pixels, gives 19 pixels but steps of 1 / 1.5, not of 13 / 19.
    """

    data: Any
    emit: Callable[[Any], Any]
    before: list[int]
    after: list[int]
    steps: list[float] | None

    @classmethod
    def read(cls, node: Any, importer: Any, factors: int) -> Upsampling:
        """Read a node whose second argument is the size and whose argument `factors` holds the factors."""
        data = importer.env[node.args[0]]
        before = [int(extent) for extent in list(importer.shape_of(data))[2:]]
        size = list(node.args[1] or ()) if len(node.args) > 1 else []
        given = list(node.args[factors] or ()) if len(node.args) > factors else []
        after = size or [int(extent * factor) for extent, factor in zip(before, given, strict=True)]
        exact = not given or all(b * f == a for b, f, a in zip(before, given, after, strict=True))
        return cls(data, importer.block_builder.emit, before, after, None if exact else [1 / f for f in given])

    def resize(self, method: str, places: str, rounding: str) -> Any:
        """Resize by TVM's operator, whose step is before / after."""
        from tvm import relax

        return self.emit(
            relax.op.image.resize2d(
                self.data,
                tuple(self.after),
                layout="NCHW",
                method=method,
                coordinate_transformation_mode=places,
                **({"rounding_method": rounding} if rounding else {}),
            )
        )

    def take(self, data: Any, places: Any, extent: int, axis: int) -> Any:
        """Take these places of one axis; beyond the edge, the edge."""
        from tvm import relax

        return self.emit(relax.op.take(data, relax.const(np.minimum(places, extent - 1)), axis))
