"""Layer, group and instance norms of plain tensors over any axes, for where no backend has code of its own.

TVM's own take mean(x * x) - mean(x) * mean(x), which loses every digit where the mean is large against the spread. Here
the mean comes first; what is left after it is taken off says by how much that mean was off, and how wide the spread is.
Half precision is summed in float32.

Example: `layer_norm(data, gamma, beta, axes=[3], epsilon=1e-5)`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tvm import te, tirx, topi

from ovenbird.operators.layout import extents

NARROW = ("float16", "bfloat16")


def layer_norm(data: te.Tensor, gamma: te.Tensor, beta: te.Tensor, axes: Sequence[int], epsilon: float) -> te.Tensor:
    """(x - mean) / sqrt(variance + epsilon) * gamma + beta; gamma and beta have the axes that are summed over."""
    return normalized(data, gamma, beta, axes, axes, epsilon)


def instance_norm(
    data: te.Tensor, gamma: te.Tensor, beta: te.Tensor, channel: int, axes: Sequence[int], epsilon: float
) -> te.Tensor:
    """Return the norm over `axes`, with a scale and a shift for each channel."""
    return normalized(data, gamma, beta, axes, [channel], epsilon)


def group_norm(
    data: te.Tensor, gamma: te.Tensor, beta: te.Tensor, groups: int, channel: int, axes: Sequence[int], epsilon: float
) -> te.Tensor:
    """Return the norm over `axes` and the channels of each group, with a scale and a shift for each channel."""
    shape = extents(data)
    split = (*shape[:channel], groups, shape[channel] // groups, *shape[channel + 1 :])
    scales = [topi.reshape(scale, split[channel : channel + 2]) for scale in (gamma, beta)]
    inner = [channel + 1, *(axis + (axis > channel) for axis in axes)]
    result = normalized(topi.reshape(data, split), scales[0], scales[1], sorted(inner), [channel, channel + 1], epsilon)
    return topi.reshape(result, shape)


def normalized(
    data: te.Tensor, gamma: te.Tensor, beta: te.Tensor, axes: Sequence[int], scaled: Sequence[int], epsilon: float
) -> te.Tensor:
    """Normalize over `axes`; `scaled` are the axes of gamma and beta."""
    shape = extents(data)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    dtype = "float32" if data.dtype in NARROW else data.dtype
    share = tirx.const(1.0 / math.prod(shape[axis] for axis in axes), dtype)

    def wide(value: Any) -> Any:
        return value.astype(dtype) if data.dtype in NARROW else value

    def summed(name: str, element: Callable[..., Any]) -> te.Tensor:
        reduced = {axis: te.reduce_axis((0, shape[axis]), name=f"k{axis}") for axis in axes}

        def body(*at: Any) -> Any:
            whole = dict(zip(kept, at, strict=True)) | reduced
            return te.sum(element([whole[axis] for axis in range(len(shape))]), axis=list(reduced.values()))

        return te.compute(tuple(shape[axis] for axis in kept), body, name=name)

    def outside(index: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(index[axis] for axis in kept)

    total = summed("total", lambda index: wide(data[tuple(index)]))

    def centred(index: Sequence[Any]) -> Any:
        return wide(data[tuple(index)]) - total[outside(index)] * share

    rest = summed("rest", centred)
    squares = summed("squares", lambda index: centred(index) * centred(index))

    def result(*index: Any) -> Any:
        off = rest[outside(index)] * share
        variance = squares[outside(index)] * share - off * off
        factor = tirx.rsqrt(variance + tirx.const(epsilon, dtype))
        scale = tuple(index[axis] for axis in scaled)
        return ((centred(index) - off) * factor * wide(gamma[scale]) + wide(beta[scale])).astype(data.dtype)

    return te.compute(shape, result, name="normalized")
