"""Convolutions and matrix products of float32 that are rounded to bfloat16 before they are multiplied, not after.

Two products are one step, as of 8-bit numbers four are (`operators.quantized.sums`): a schedule turns them into the
instruction that adds both to a float32. Images come rounded, as the end of the kernel that makes them where nothing
else reads those; weights come rounded and packed, two inputs of each of b outputs side by side.

Example: uint16 [1, 4, 56, 56, 16] by uint16 [4, 4, 3, 3, 8, 32] -> float32 [1, 4, 56, 56, 16].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import STEP, Arithmetic, anchored
from ovenbird.operators.bfloat16.numbers import bits, rounded_bits, widened_bits
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import blocks, extents, pad_axis
from ovenbird.operators.quantized import steps
from ovenbird_runtime.tensors.arrays import Array

TAPS = 2
"""Products of one step."""
ARITHMETIC = Arithmetic("float32", "uint16", TAPS)


def pack_conv_weight(weight: Array, block: int) -> Array:
    """Float32 OIHW -> uint16 [O/b, I/b, KH, KW, b/2, b*2]; channels that are missing from a block have weights of 0."""
    return steps.pack_conv_weight(bits(weight), block, block, TAPS)


def pack_matmul_weight(weight: Array, block: int) -> Array:
    """Float32 [K, N] -> uint16 [N/b, ceil(K/2), b*2]."""
    return steps.pack_matmul_weight(bits(weight), block, TAPS)


def product(data: Any, weight: Any) -> Any:
    """Return the product of two bfloat16 as float32, which is exact."""
    return widened_bits(data) * widened_bits(weight)


def rounded(data: te.Tensor) -> te.Tensor:
    """Return float32 of any shape as the bits of bfloat16."""
    return te.compute(extents(data), lambda *at: rounded_bits(data(*at)), name="round")


def widened(data: te.Tensor) -> te.Tensor:
    """Return the float32 that bits of bfloat16 stand for."""
    return te.compute(extents(data), lambda *at: widened_bits(data(*at)), name="widen")


def conv2d(data: te.Tensor, weight: te.Tensor, window: Window, groups: int = 1) -> te.Tensor:
    """Dense or grouped: [N, I/b, H, W, b] * [O/b, I/g/b, KH, KW, b/2, b*2] -> [N, O/b, OH, OW, b]."""
    size = window.output(*extents(data)[2:4])
    padded = pad(data, window.padding, 0)
    sums, place = steps.conv2d_sums(padded, weight, product, TAPS, window, groups, size, {})
    if not window.pointwise:
        return sums
    batch, _, _, lanes = extents(sums)
    shape = (batch, extents(weight)[0], *size, lanes)
    return te.compute(shape, lambda *at: sums[place(*at)], name="unflatten")


def pack_plain_weight(weight: Array, block: int) -> Array:
    """Float32 OIHW -> uint16 [O/b, I, KH, KW/2, b*2]: two columns of the window are a step, the last with a 0 if they
    are odd.
    """
    wide = pad_axis(pad_axis(bits(weight), 0, blocks(weight.shape[0], block) * block), 3, even(weight.shape[3]))
    outputs, inputs, height, width = wide.shape
    split = wide.reshape(outputs // block, block, inputs, height, width // TAPS, TAPS)
    shape = (outputs // block, inputs, height, width // TAPS, block * TAPS)
    return np.ascontiguousarray(split.transpose(0, 2, 3, 4, 1, 5).reshape(shape))


def even(columns: int) -> int:
    """Return the columns of whole steps."""
    return -(-columns // TAPS) * TAPS


def conv2d_from_plain(data: te.Tensor, weight: te.Tensor, window: Window) -> te.Tensor:
    """Float32 [N, I, H, W] * [O/b, I, KH, KW/2, b*2] -> [N, O/b, OH, OW, b], by a window without gaps in its rows."""
    batch, inputs, height, width = extents(data)
    out_blocks, lanes = extents(weight)[0], extents(weight)[4] // TAPS
    out_height, out_width = window.output(height, width)
    (stride_h, stride_w), (dilate_h, _) = window.stride, window.dilation
    top, left, bottom, right = window.padding
    read = (out_width - 1) * stride_w + even(window.kernel[1])
    padded = pad(data, (top, left, bottom, max(right, read - width - left)), 0, rounded_bits)
    ic = te.reduce_axis((0, inputs), name="ic")
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    step = te.reduce_axis((0, even(window.kernel[1]) // TAPS), name="step")
    tap = te.reduce_axis((0, TAPS), name="tap")
    return te.compute(
        (batch, out_blocks, out_height, out_width, lanes),
        lambda n, o, h, w, v: te.sum(
            product(
                padded[n, ic, h * stride_h + kh * dilate_h, w * stride_w + step * TAPS + tap],
                weight[o, ic, kh, step, v * TAPS + tap],
            ),
            axis=[ic, step, kh, tap],  # neighbours share data between steps: side by side, LLVM would keep it all
        ),
        name="conv2d",
        attrs=anchored("tile", {STEP: TAPS}),
    )


def matmul(data: te.Tensor, weight: te.Tensor, columns: int, tile_rows: int = 1) -> te.Tensor:
    """[M, K] * [N/b, ceil(K/2), b*2] -> [M, N], in whole tiles of rows (`operators.dense`)."""
    rows, depth = extents(data)
    _, count, width = extents(weight)
    lanes = width // TAPS
    even = te.compute(
        (rows, count * TAPS),
        lambda m, k: (
            tirx.Select(k < depth, rounded_bits(data[m, tirx.min(k, depth - 1)]), tirx.const(0, "uint16"))
            if depth < count * TAPS
            else rounded_bits(data[m, k])
        ),
        name="round",
    )
    sums = steps.matmul_sums(even, weight, product, TAPS, tile_rows, {})
    return te.compute((rows, columns), lambda m, n: sums[n // lanes, m, n % lanes], name="unblock")
