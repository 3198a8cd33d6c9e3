"""torch operators that TVM's importer lacks, or reads otherwise than torch computes them.

from tvm.relax.frontend.torch import from_exported_program
from_exported_program(program, custom_convert_map=torch_operators())

Each converter takes a graph node and the importer, whose `env` holds the Relax expression of every node before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tvm import relax

Converter = Callable[[Any, Any], "relax.Var"]


def torch_operators() -> dict[str, Converter]:
    """Return the converters by the operator's name and overload, as torch.export writes them."""
    from tvm import relax

    return {
        "amax.default": _extreme(relax.op.max),
        "amin.default": _extreme(relax.op.min),
        "native_group_norm.default": _group_norm,
        "upsample_bilinear2d.vec": _bilinear,
        "upsample_nearest2d.vec": _nearest,
    }


def _extreme(reduce: Callable[..., Any]) -> Converter:
    """`amax` and `amin`: over the dimensions given, all of them where none is."""

    def convert(node: Any, importer: Any) -> relax.Var:
        axes = list(node.args[1]) if len(node.args) > 1 else []
        keepdims = bool(node.args[2]) if len(node.args) > 2 else False
        result: relax.Var = importer.block_builder.emit(reduce(importer.env[node.args[0]], axes or None, keepdims))
        return result

    return convert


def _group_norm(node: Any, importer: Any) -> relax.Var:
    """`native_group_norm(input, weight, bias, N, C, HxW, groups, eps)`; TVM's operator wants a weight and a bias."""
    from tvm import relax

    data = importer.env[node.args[0]]
    shape, dtype = importer.shape_of(data), str(data.ty.dtype.dtype)
    channels = int(shape[1])
    scale, shift = (
        importer.env[argument] if argument is not None else relax.const(np.full(channels, default, dtype))
        for argument, default in ((node.args[1], 1), (node.args[2], 0))
    )
    axes = list(range(2, len(shape)))
    groups, epsilon = node.args[6], node.args[7]
    result: relax.Var = importer.block_builder.emit(
        relax.op.nn.group_norm(data, scale, shift, groups, channel_axis=1, axes=axes, epsilon=epsilon)
    )
    return result


def _nearest(node: Any, importer: Any) -> relax.Var:
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


def _bilinear(node: Any, importer: Any) -> relax.Var:
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
