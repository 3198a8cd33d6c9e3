"""Normalizations that TVM's importer reads otherwise than torch computes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ovenbird.errors import UnsupportedOperator

if TYPE_CHECKING:
    from tvm import relax


def group_norm(node: Any, importer: Any) -> relax.Var:
    """`native_group_norm(input, weight, bias, N, C, HxW, groups, eps)`; TVM's operator wants a weight and a bias."""
    from tvm import relax

    _refuse_statistics(node)
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


def layer_norm(node: Any, importer: Any) -> relax.Var:
    """Convert `native_layer_norm`, of which TVM's operator gives the first result."""
    _refuse_statistics(node)
    result: relax.Var = importer._native_layer_norm(node)
    return result


def _refuse_statistics(node: Any) -> None:
    """Raise UnsupportedOperator where the mean and the spread, which training alone needs, are read."""
    if any(user.args[1] != 0 and user.users for user in node.users):
        raise UnsupportedOperator(
            f"{node.target.__name__} gives its first result alone; compute mean and spread by torch.var_mean"
        )
