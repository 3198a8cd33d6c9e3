"""Lowering of pooling and of means over height and width, in the blocked layout.

Example: an average pooling of 3x3 with a border that does not count becomes a sum and a multiply by a constant map.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators import pool2d
from ovenbird.operators.conv2d import Window
from ovenbird.passes.shapes import static_shape
from ovenbird_runtime.tensors.arrays import Array


def lower_max_pool2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower max pooling, also with a ceiled output size."""
    return emit_pool(lowering, call, "max_pool2d")


def lower_avg_pool2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower average pooling: a sum over each window, times one over the pixels that count in it."""
    total = emit_pool(lowering, call, "sum_pool2d")
    if total is None:
        return None
    share = pool_shares(lowering.value(call.args[0]).shape, total.shape, call.attrs)
    if np.all(share == share[0, 0]):
        factor = relax.const(share[0, 0])
    else:
        factor = relax.const(share.reshape(1, 1, *share.shape, 1))
    total.image = lowering.builder.emit(relax.op.multiply(total.image, factor))
    return total


def pool_shares(before: tuple[int, ...], after: tuple[int, ...], attrs: Any) -> Array:
    """Return one over the pixels that count in each window of an average pooling: float32 [OH, OW]."""
    borders = [int(p) for p in attrs.padding]
    counts = [
        counted(
            before[2 + axis],
            (borders[axis], borders[axis + 2]),
            after[2 + axis],
            (int(attrs.pool_size[axis]), int(attrs.strides[axis]), int(attrs.dilation[axis])),
            bool(attrs.count_include_pad),
        )
        for axis in (0, 1)
    ]
    shares: Array = (1.0 / np.outer(*counts)).astype(np.float32)
    return shares


def counted(
    size: int, border: tuple[int, int], outputs: int, window: tuple[int, int, int], count_border: bool
) -> Array:
    """Return how many pixels of each window (kernel, stride, dilation) along one axis count: int [outputs].

    What lies past the border, where a ceiled output reaches, never does.
    """
    kernel, stride, dilation = window
    taps = np.arange(outputs)[:, None] * stride + np.arange(kernel)[None, :] * dilation - border[0]
    first, end = (-border[0], size + border[1]) if count_border else (0, size)
    inside: Array = (taps >= first) & (taps < end)
    counts: Array = np.maximum(inside.sum(axis=1), 1)
    return counts


def emit_pool(lowering: CpuLowering, call: relax.Call, name: str) -> Value | None:
    """Emit the operator `name` of `operators.pool2d` over the windows of a Relax pooling."""
    data, attrs = lowering.value(call.args[0]), call.attrs
    shape = static_shape(call)
    if not lowering.form.is_image(data) or attrs.layout != "NCHW" or shape is None:
        return None
    window = pool_window(data.shape, shape, attrs)
    operator = getattr(pool2d, name)
    values = lowering.form.image(data)
    blocked = lowering.emit_te(name, operator, values, window=window, output=(shape[2], shape[3]))
    return Value(shape, data.dtype, image=blocked)


def pool_window(before: tuple[int, ...], after: tuple[int, ...], attrs: Any) -> Window:
    """Return the window of a pooling from one shape to another: a ceiled output reads past the padding."""
    size, stride, dilation = ([int(v) for v in vs] for vs in (attrs.pool_size, attrs.strides, attrs.dilation))
    padding = [int(p) for p in attrs.padding]
    for axis in (0, 1):
        reach = (after[2 + axis] - 1) * stride[axis] + (size[axis] - 1) * dilation[axis] + 1
        padding[2 + axis] += max(0, reach - (before[2 + axis] + padding[axis] + padding[2 + axis]))
    return Window(
        (size[0], size[1]),
        (stride[0], stride[1]),
        (padding[0], padding[1], padding[2], padding[3]),
        (dilation[0], dilation[1]),
    )


def lower_adaptive_avg_pool2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower pooling to a given size; to the size that is there already it is nothing at all."""
    data = lowering.value(call.args[0])
    shape = static_shape(call)
    if not lowering.form.is_image(data) or shape is None or call.attrs.layout != "NCHW":
        return None
    if shape == data.shape:
        return data
    if shape[2:] == (1, 1):
        return emit_spatial_mean(lowering, data)
    output = (shape[2], shape[3])
    if data.shape[2] % output[0] == 0 and data.shape[3] % output[1] == 0:
        size = (data.shape[2] // output[0], data.shape[3] // output[1])
        window = Window(size, size)
        image = lowering.emit_te(
            "sum_pool2d", pool2d.sum_pool2d, lowering.form.image(data), window=window, output=output
        )
        share = relax.const(np.float32(1.0 / math.prod(size)))
        return Value(shape, data.dtype, image=lowering.builder.emit(relax.op.multiply(image, share)))
    total = lowering.emit_te(
        "adaptive_sum_pool2d", pool2d.adaptive_sum_pool2d, lowering.form.image(data), output=output
    )
    sizes = [np.array(pool2d.adaptive_sizes(data.shape[2 + axis], output[axis])) for axis in (0, 1)]
    share = (1.0 / np.outer(*sizes)).astype(np.float32).reshape(1, 1, *output, 1)
    return Value(shape, data.dtype, image=lowering.builder.emit(relax.op.multiply(total, relax.const(share))))


def lower_mean(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower the mean over height and width, with or without the two axes kept."""
    data = lowering.value(call.args[0])
    if not lowering.form.is_image(data) or not is_spatial(call, data):
        return None
    return with_axes_of(lowering, call, emit_spatial_mean(lowering, data))


def is_spatial(call: relax.Call, data: Value) -> bool:
    """Return whether a mean of an image is over its height and width."""
    axes = call.attrs.axis
    return data.has_image and axes is not None and sorted(int(axis) % 4 for axis in axes) == [2, 3]


def with_axes_of(lowering: CpuLowering, call: relax.Call, mean: Value) -> Value:
    """Return a mean [N, C, 1, 1] with the two axes, or without them, as its call says."""
    if call.attrs.keepdims:
        return mean
    flat = lowering.builder.emit(relax.op.reshape(lowering.form.plain(mean), mean.shape[:2]))
    return Value(mean.shape[:2], mean.dtype, plain=flat)


def emit_spatial_mean(lowering: CpuLowering, data: Value) -> Value:
    """[N, C, H, W] -> [N, C, 1, 1]."""
    blocked = lowering.emit_te("spatial_mean", pool2d.spatial_mean, lowering.form.image(data))
    return Value((*data.shape[:2], 1, 1), data.dtype, image=blocked)
