"""Lowering of convolutions of levels by constant int8 weights.

Example: uint8 [1, 64, 56, 56] by int8 [64, 64, 3, 3], a bias and a relu behind it, becomes one kernel that gives uint8.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.backends.cpu.lowering.context import CpuLowering
from ovenbird.backends.cpu.lowering.conv2d import merge_groups
from ovenbird.backends.cpu.lowering.quantized.sums import Sums, pending
from ovenbird.lowering.value import Levels, Value
from ovenbird.lowering.walk import Lowered
from ovenbird.lowering.windows import conv2d_window
from ovenbird.operators import layout
from ovenbird.operators.conv2d import Window
from ovenbird.operators.quantized import depthwise as depthwise_sums
from ovenbird.operators.quantized import packing, sums
from ovenbird_runtime.tensors.arrays import Array

MAX_PRODUCTS = 65_000
"""Products of a sum, at most: 255 * 128 times as many stay below 2**31."""


def lower_levels_conv2d(lowering: CpuLowering, call: relax.Call) -> Lowered | None:
    """Lower a 2-d convolution of levels."""
    data, weight = (lowering.value(arg) for arg in call.args)
    attrs, inner = call.attrs, data.unpadded or data
    if attrs.data_layout != "NCHW" or attrs.kernel_layout != "OIHW" or len(data.shape) != 4 or len(weight.shape) != 4:
        return None
    if inner.levels is None or inner.constant is not None or weight.levels is None:
        return None
    kernel, scale = weight.levels.value.constant, weight.levels.scale
    if kernel is None or scale.size not in (1, kernel.shape[0]) or scale.shape[0] != scale.size:
        return None
    if kernel[0].size > MAX_PRODUCTS:
        return None
    window = conv2d_window(attrs, kernel.shape, data.padding)
    shape = (data.shape[0], kernel.shape[0], *window.output(*inner.shape[2:]))
    return pending(convolution(lowering, inner.levels, kernel, scale, window, int(attrs.groups), shape), shape)


def convolution(
    lowering: CpuLowering,
    data: Levels,
    kernel: Array,
    scale: Array,
    window: Window,
    groups: int,
    shape: tuple[int, ...],
) -> Sums:
    """Return the sums of a convolution, in the form that suits its shape."""
    block, channels, zero = lowering.block, data.value.shape[1], data.zero
    depthwise = groups == channels == kernel.shape[0] and groups > 1
    shift = 0 if depthwise else lowering.machine.level_shift
    correction = zero_correction(kernel.reshape(kernel.shape[0], -1), zero - shift)
    scales = np.broadcast_to(scale.reshape(-1).astype(np.float64) * float(data.scale), kernel.shape[:1])
    options: dict[str, Any] = {"window": window, "zero": zero}
    if depthwise:
        pairs = lowering.machine.multiplies_words and depthwise_sums.suits_pairs(window)
        form = depthwise_sums.by_pairs if pairs else depthwise_sums.by_taps
        name, operator = "depthwise_conv2d", functools.partial[Any](form, **options)
        tensors = (lowering.form.image(data.value), lowering.weight(layout.pack_depthwise_weight(kernel, block)))
    else:
        kernel, groups = merge_groups(kernel, groups, block)
        image, in_block = packed_image(lowering, data.value, groups)
        packed = packing.pack_conv_weight(kernel, block, in_block)
        options |= {"groups": groups, "narrow": lowering.machine.adds_narrow and packing.is_narrow(packed)}
        name, operator = "conv2d", functools.partial[Any](sums.conv2d, **options)
        tensors = (image, lowering.weight(packed))
    return Sums(name, operator, tensors, True, shape, correction, scales)


def packed_image(lowering: CpuLowering, data: Value, groups: int) -> tuple[relax.Expr, int]:
    """Return an image in blocks, and how many channels are in one: few channels that come plain fill no whole block."""
    few = -(-data.shape[1] // sums.TAPS) * sums.TAPS
    if data.has_image or few >= lowering.block or groups > 1:
        return lowering.form.image(data), lowering.block
    plain = lowering.form.plain(data)
    return lowering.builder.emit_te(layout.pack, plain, few, primfunc_name_hint="pack"), few


def zero_correction(weights: Array, zero: int) -> Array | None:
    """Return what to add to the sums of each output [O] for levels counted from `zero`; weights [O, products]."""
    return (-zero * weights.sum(axis=1, dtype=np.int64)).astype(np.int32) if zero else None
