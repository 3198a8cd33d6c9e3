"""Pooling of uint8 levels in the blocked layout: sums are exact in int32, and leave as float32.

Maxima need nothing of their own: the highest level stands for the highest value (`operators.pool2d`).
"""

from __future__ import annotations

import math
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import anchored
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import extents
from ovenbird.operators.pool2d import SUMS
from ovenbird.operators.quantized.rounding import EXACT


def sum_pool2d(data: te.Tensor, window: Window, output: tuple[int, int], factor: float, zero: int) -> te.Tensor:
    """[N, C/b, H, W, b] -> float32 [N, C/b, OH, OW, b]: `factor` times the sum over each window, padding being zero."""
    batch, channel_blocks, _, _, block = extents(data)
    padded = pad(data, window.padding, zero)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    shape = (batch, channel_blocks, *output, block)
    sums = te.compute(
        shape,
        lambda n, c, h, w, v: te.sum(
            tirx.Cast("int32", padded[n, c, h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, v]),
            axis=[kh, kw],
        ),
        name="sum_pool2d",
        attrs=anchored("depthwise"),
    )
    return te.compute(
        shape,
        lambda *at: scaled(sums(*at), factor, zero * math.prod(window.kernel)),
        name="finish",
        attrs={EXACT: 1},
    )


def spatial_mean(data: te.Tensor, scale: float, zero: int) -> te.Tensor:
    """[N, C/b, H, W, b] -> float32 [N, C/b, 1, 1, b], the mean over height and width."""
    batch, channel_blocks, height, width, block = extents(data)
    pixels = height * width
    side_by_side = max(count for count in range(1, SUMS + 1) if pixels % count == 0)
    step = te.reduce_axis((0, pixels // side_by_side), name="step")

    def pixel(n: Any, c: Any, s: Any, v: Any) -> Any:
        place = step * side_by_side + s
        return tirx.Cast("int32", data[n, c, place // width, place % width, v])

    partial = te.compute(
        (batch, channel_blocks, side_by_side, block),
        lambda n, c, s, v: te.sum(pixel(n, c, s, v), axis=[step]),
        name="spatial_sum",
        attrs=anchored("lanes"),
    )

    def total(n: Any, c: Any, h: Any, w: Any, v: Any) -> Any:
        whole = partial[n, c, 0, v]
        for s in range(1, side_by_side):
            whole = whole + partial[n, c, s, v]
        return scaled(whole, scale / pixels, zero * pixels)

    return te.compute((batch, channel_blocks, 1, 1, block), total, name="spatial_mean", attrs={EXACT: 1})


def scaled(total: Any, factor: float, shift: int) -> Any:
    """Return `(total - shift) * factor` as float32."""
    return tirx.Cast("float32", total - tirx.const(shift, "int32")) * tirx.const(factor, "float32")
