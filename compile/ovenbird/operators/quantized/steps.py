"""Convolutions and matrix products whose products are summed a step at a time: four of 8-bit numbers, two of bfloat16.

A schedule turns a step into the instruction that adds up its products. Weights lie as that wants them: the `taps`
inputs of a step, of each of b outputs, side by side.

Example: OIHW [64, 64, 3, 3] with 16 channels in a block is [4, 4, 3, 3, 4, 64] for steps of four products.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import DILATION, STEP, anchored
from ovenbird.operators.conv2d import Window
from ovenbird.operators.layout import blocks, extents, pad_axis
from ovenbird_runtime.tensors.arrays import Array

Multiplication = Callable[[Any, Any], Any]
"""Of an element of the data and one of the weights, in the sum's dtype."""


def pack_conv_weight(weight: Array, block: int, in_block: int, taps: int) -> Array:
    """OIHW -> [O/b, I/c, KH, KW, c/taps, b*taps]; channels that are missing from a block have weights of 0."""
    outputs, inputs, height, width = weight.shape
    out_blocks, in_blocks = blocks(outputs, block), blocks(inputs, in_block)
    padded = pad_axis(pad_axis(weight, 0, out_blocks * block), 1, in_blocks * in_block)
    split = padded.reshape(out_blocks, block, in_blocks, in_block // taps, taps, height, width)
    packed = split.transpose(0, 2, 5, 6, 3, 1, 4)
    return np.ascontiguousarray(packed.reshape(*packed.shape[:5], block * taps))


def pack_matmul_weight(weight: Array, block: int, taps: int) -> Array:
    """[K, N] -> [N/b, ceil(K/taps), b*taps]."""
    depth, columns = weight.shape
    count, steps = blocks(columns, block), blocks(depth, taps)
    padded = pad_axis(pad_axis(weight, 1, count * block), 0, steps * taps)
    split = padded.reshape(steps, taps, count, block).transpose(2, 0, 3, 1)
    return np.ascontiguousarray(split.reshape(count, steps, block * taps))


def conv2d_sums(
    padded: te.Tensor,
    weight: te.Tensor,
    product: Multiplication,
    taps: int,
    window: Window,
    groups: int,
    size: tuple[int, int],
    details: Mapping[str, Any],
) -> tuple[te.Tensor, Callable[..., tuple[Any, ...]]]:
    """Return the sums of a dense or grouped convolution of `size`, and where that of an output [n, o, h, w, v] lies.

    [N, I/c, H, W, c] * [O/b, I/g/c, KH, KW, c/taps, b*taps]; `padded` has its border, `details` are of the anchor.
    """
    batch, _, height, width, block = extents(padded)
    out_blocks, in_blocks = extents(weight)[:2]
    lanes, group_out = extents(weight)[5] // taps, out_blocks // groups
    ic = te.reduce_axis((0, in_blocks), name="ic")
    step = te.reduce_axis((0, block // taps), name="step")
    tap = te.reduce_axis((0, taps), name="tap")

    def channel(o: Any) -> Any:
        return ic if groups == 1 else (o // group_out) * in_blocks + ic

    if window.pointwise:
        flat = te.compute(
            (batch, out_blocks, height * width, lanes),
            lambda n, o, p, v: te.sum(
                product(
                    padded[n, channel(o), p // width, p % width, step * taps + tap],
                    weight[o, ic, 0, 0, step, v * taps + tap],
                ),
                axis=[ic, step, tap],
            ),
            name="conv2d",
            attrs=anchored("tile", {STEP: taps, **details}),
        )
        return flat, lambda n, o, h, w, v: (n, o, h * width + w, v)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    sums = te.compute(
        (batch, out_blocks, *size, lanes),
        lambda n, o, h, w, v: te.sum(
            product(
                padded[n, channel(o), h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, step * taps + tap],
                weight[o, ic, kh, kw, step, v * taps + tap],
            ),
            axis=[ic, kh, kw, step, tap],
        ),
        name="conv2d",
        attrs=anchored("tile", {STEP: taps, **details, **({DILATION: dilate_h} if dilate_h > 1 else {})}),
    )
    return sums, lambda *at: at


def matmul_sums(
    data: te.Tensor, weight: te.Tensor, product: Multiplication, taps: int, tile_rows: int, details: Mapping[str, Any]
) -> te.Tensor:
    """[M, steps * taps] * [N/b, steps, b*taps] -> sums [N/b, M, b], in whole tiles of rows (`operators.dense`)."""
    rows = extents(data)[0]
    count, steps, width = extents(weight)
    padded_rows = -(-rows // tile_rows) * tile_rows
    step = te.reduce_axis((0, steps), name="step")
    tap = te.reduce_axis((0, taps), name="tap")

    def row(m: Any) -> Any:
        return tirx.min(m, rows - 1) if padded_rows > rows else m

    return te.compute(
        (count, padded_rows, width // taps),
        lambda o, m, v: te.sum(
            product(data[row(m), step * taps + tap], weight[o, step, v * taps + tap]), axis=[step, tap]
        ),
        name="matmul",
        attrs=anchored("tile", {STEP: taps, **details}),
    )
