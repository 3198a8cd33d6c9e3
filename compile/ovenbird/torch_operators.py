"""torch operators that TVM's importer lacks, or reads otherwise than torch computes them.

from_exported_program(program, custom_convert_map=torch_operators())

Each converter takes a graph node and the importer, whose `env` holds the Relax expression of every node before it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from tvm import relax

Converter = Callable[[Any, Any], "relax.Var"]


def torch_operators() -> dict[str, Converter]:
    """Give the converters by the operator's name and overload, as torch.export writes them."""
    from tvm import relax

    return {
        "amax.default": _extreme(relax.op.max),
        "amin.default": _extreme(relax.op.min),
        "native_group_norm.default": _group_norm,
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
    """`upsample_nearest2d(input, size or None, factors or None)`: torch takes floor(place * step), where step is
    1 / factor where factors are given, and input / output otherwise.

    TVM's importer takes the pixel whose centre is nearest, which differs wherever the factor is not whole.
    """
    from tvm import relax

    data = importer.env[node.args[0]]
    before = [int(extent) for extent in list(importer.shape_of(data))[2:]]
    size = list(node.args[1] or ()) if len(node.args) > 1 else []
    factors = list(node.args[2] or ()) if len(node.args) > 2 else []
    after = size or [int(extent * factor) for extent, factor in zip(before, factors, strict=True)]
    if not factors or all(whole * factor == more for whole, factor, more in zip(before, factors, after, strict=True)):
        call = relax.op.image.resize2d(
            data,
            tuple(after),
            layout="NCHW",
            method="nearest_neighbor",
            coordinate_transformation_mode="asymmetric",
            rounding_method="floor",
        )
        result: relax.Var = importer.block_builder.emit(call)
        return result
    for axis, (whole, factor, more) in enumerate(zip(before, factors, after, strict=True), start=2):
        places = np.floor(np.arange(more, dtype=np.float32) * np.float32(1 / factor)).astype(np.int64)
        places = np.minimum(places, whole - 1)
        data = importer.block_builder.emit(relax.op.take(data, relax.const(places), axis))
    return data
