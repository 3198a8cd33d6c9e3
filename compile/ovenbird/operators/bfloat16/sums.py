"""Convolutions and matrix products of float32 that are rounded to bfloat16 before they are multiplied, not after.

Two products are one step, as of 8-bit numbers four are (`operators.quantized.sums`): a schedule turns them into the
instruction that adds both to a float32. Data is rounded once, where it is padded; weights come rounded and packed, two
inputs of each of b outputs side by side.

Example: float32 [1, 4, 56, 56, 16] by uint16 [4, 4, 3, 3, 8, 32] -> float32 [1, 4, 56, 56, 16].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import DILATION, STEP, anchored
from ovenbird.operators.bfloat16.numbers import bits, rounded_bits, widened_bits
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import blocks, extents, pad_axis
from ovenbird_runtime.tensors.arrays import Array

TAPS = 2
"""Products of one step."""


def pack_conv_weight(weight: Array, block: int) -> Array:
    """Float32 OIHW -> uint16 [O/b, I/b, KH, KW, b/2, b*2]; channels that are missing from a block have weights of 0."""
    outputs, inputs, height, width = weight.shape
    out_blocks, in_blocks = blocks(outputs, block), blocks(inputs, block)
    padded = pad_axis(pad_axis(bits(weight), 0, out_blocks * block), 1, in_blocks * block)
    split = padded.reshape(out_blocks, block, in_blocks, block // TAPS, TAPS, height, width)
    packed = split.transpose(0, 2, 5, 6, 3, 1, 4)
    return np.ascontiguousarray(packed.reshape(*packed.shape[:5], block * TAPS))


def pack_matmul_weight(weight: Array, block: int) -> Array:
    """Float32 [K, N] -> uint16 [N/b, ceil(K/2), b*2]."""
    depth, columns = weight.shape
    count, steps = blocks(columns, block), blocks(depth, TAPS)
    padded = pad_axis(pad_axis(bits(weight), 1, count * block), 0, steps * TAPS)
    split = padded.reshape(steps, TAPS, count, block).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(split.reshape(count, steps, block * TAPS))


def product(data: Any, weight: Any) -> Any:
    """Return the product of two bfloat16 as float32, which is exact."""
    return widened_bits(data) * widened_bits(weight)


def conv2d(data: te.Tensor, weight: te.Tensor, window: Window, groups: int = 1) -> te.Tensor:
    """Dense or grouped: [N, I/b, H, W, b] * [O/b, I/g/b, KH, KW, b/2, b*2] -> [N, O/b, OH, OW, b]."""
    batch, _, height, width, block = extents(data)
    out_blocks, in_blocks = extents(weight)[:2]
    group_out = out_blocks // groups
    out_height, out_width = window.output(height, width)
    padded = pad(data, window.padding, 0, rounded_bits)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    ic = te.reduce_axis((0, in_blocks), name="ic")
    step = te.reduce_axis((0, block // TAPS), name="step")
    tap = te.reduce_axis((0, TAPS), name="tap")
    shape = (batch, out_blocks, out_height, out_width, block)

    def channel(o: Any) -> Any:
        return ic if groups == 1 else (o // group_out) * in_blocks + ic

    if window.pointwise:
        flat = te.compute(
            (batch, out_blocks, height * width, block),
            lambda n, o, p, v: te.sum(
                product(
                    padded[n, channel(o), p // width, p % width, step * TAPS + tap],
                    weight[o, ic, 0, 0, step, v * TAPS + tap],
                ),
                axis=[ic, step, tap],
            ),
            name="conv2d",
            attrs=anchored("tile", {STEP: TAPS}),
        )
        return te.compute(shape, lambda n, o, h, w, v: flat[n, o, h * width + w, v], name="unflatten")
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    return te.compute(
        shape,
        lambda n, o, h, w, v: te.sum(
            product(
                padded[n, channel(o), h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, step * TAPS + tap],
                weight[o, ic, kh, kw, step, v * TAPS + tap],
            ),
            axis=[ic, kh, kw, step, tap],
        ),
        name="conv2d",
        attrs=anchored("tile", {STEP: TAPS, DILATION: dilate_h} if dilate_h > 1 else {STEP: TAPS}),
    )


def matmul(data: te.Tensor, weight: te.Tensor, columns: int, tile_rows: int = 1) -> te.Tensor:
    """[M, K] * [N/b, ceil(K/2), b*2] -> [M, N], in whole tiles of rows (`operators.dense`)."""
    rows, depth = extents(data)
    count, steps, width = extents(weight)
    lanes = width // TAPS
    padded_rows = -(-rows // tile_rows) * tile_rows
    even = te.compute(
        (rows, steps * TAPS),
        lambda m, k: (
            tirx.Select(k < depth, rounded_bits(data[m, tirx.min(k, depth - 1)]), tirx.const(0, "uint16"))
            if depth < steps * TAPS
            else rounded_bits(data[m, k])
        ),
        name="round",
    )
    step = te.reduce_axis((0, steps), name="step")
    tap = te.reduce_axis((0, TAPS), name="tap")

    def row(m: Any) -> Any:
        return tirx.min(m, rows - 1) if padded_rows > rows else m

    sums = te.compute(
        (count, padded_rows, lanes),
        lambda o, m, v: te.sum(
            product(even[row(m), step * TAPS + tap], weight[o, step, v * TAPS + tap]), axis=[step, tap]
        ),
        name="matmul",
        attrs=anchored("tile", {STEP: TAPS}),
    )
    return te.compute((rows, columns), lambda m, n: sums[n // lanes, m, n % lanes], name="unblock")
