"""Lowering of means of levels: windows, and whole images.

Example: a mean over uint8 [1, 2048, 7, 7] adds up whole numbers, and gives float32 [1, 2048, 1, 1].
"""

from __future__ import annotations

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.pool2d import is_spatial, pool_shares, pool_window, with_axes_of
from ovenbird.lowering.value import Value
from ovenbird.lowering.walk import Lowered
from ovenbird.operators.conv2d import Window
from ovenbird.operators.quantized import pool2d
from ovenbird.passes.shapes import static_shape


def lower_levels_avg_pool2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower average pooling of levels."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if not takes(data) or shape is None or call.attrs.layout != "NCHW":
        return None
    window = pool_window(data.shape, shape, call.attrs)
    share = pool_shares(data.shape, shape, call.attrs)
    uniform = bool(np.all(share == share[0, 0]))
    total = emit_sums(lowering, data, window, shape, float(share[0, 0]) if uniform else 1.0)
    if not uniform:
        factor = relax.const(share.reshape(1, 1, *share.shape, 1))
        total.image = lowering.builder.emit(relax.op.multiply(total.image, factor))
    return total


def lower_levels_adaptive_avg_pool2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower pooling of levels to a given size, where its windows are all alike."""
    data, shape = lowering.value(call.args[0]), static_shape(call)
    if not takes(data) or shape is None or call.attrs.layout != "NCHW":
        return None
    if shape == data.shape:
        return data
    if shape[2:] == (1, 1):
        return emit_mean(lowering, data)
    if data.shape[2] % shape[2] or data.shape[3] % shape[3]:
        return None
    size = (data.shape[2] // shape[2], data.shape[3] // shape[3])
    return emit_sums(lowering, data, Window(size, size), shape, 1.0 / (size[0] * size[1]))


def lower_levels_mean(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower the mean over height and width of levels, with or without the two axes kept."""
    data = lowering.value(call.args[0])
    if not takes(data) or not is_spatial(call, data):
        return None
    return with_axes_of(lowering, call, emit_mean(lowering, data))


def takes(data: Value) -> bool:
    """Return whether a value is an image of levels."""
    return len(data.shape) == 4 and data.levels is not None and data.constant is None


def emit_sums(lowering: CpuLowering, data: Value, window: Window, shape: tuple[int, ...], share: float) -> Value:
    """Emit `share` times the sum over each window."""
    assert data.levels is not None
    image = lowering.emit_te(
        "sum_pool2d",
        pool2d.sum_pool2d,
        lowering.form.image(data.levels.value),
        window=window,
        output=shape[2:],
        factor=float(np.float32(float(data.levels.scale) * share)),
        zero=data.levels.zero,
    )
    return Value(shape, "float32", image=image)


def emit_mean(lowering: CpuLowering, data: Value) -> Value:
    """[N, C, H, W] -> [N, C, 1, 1]."""
    assert data.levels is not None
    image = lowering.form.image(data.levels.value)
    options = {"scale": float(data.levels.scale), "zero": data.levels.zero}
    blocked = lowering.emit_te("spatial_mean", pool2d.spatial_mean, image, **options)
    return Value((*data.shape[:2], 1, 1), "float32", image=blocked)
