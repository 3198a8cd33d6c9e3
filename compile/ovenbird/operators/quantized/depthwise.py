"""Depthwise convolutions of levels by int8 weights, exact in int32: tap by tap, or two rows of a window at a time.

Two rows at a time is for processors whose instructions multiply 16-bit numbers and add up neighbouring products
(`pmaddwd`): levels of rows 2j and 2j + 1 lie side by side in 32 bits, and so do the weights by which they are
multiplied. A window that begins at an odd row leaves out the first number of its first pair, so its weights are paired
differently:

    rows of data        (0, 1)   (2, 3)
    window from row 0   (a, b)   (c, -)        weights a, b, c of a column; `-` is 0
    window from row 1   (-, a)   (b, c)

Example: data [1, 4, 56, 56, 8], weights [4, 3, 3, 8], a `Finish` to levels -> uint8 [1, 4, 56, 56, 8].
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import STEP, anchored
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import extents
from ovenbird.operators.quantized.sums import Finish, image_output, product

PAIR = 2
"""Rows of a pair."""
BITS = 16


def by_taps(data: te.Tensor, weight: te.Tensor, *terms: te.Tensor, window: Window, zero: int, how: Finish) -> te.Tensor:
    """[N, C/b, H, W, b] * [C/b, KH, KW, b] -> [N, C/b, OH, OW, b]; `zero` is padding."""
    batch, channel_blocks, height, width, block = extents(data)
    padded = pad(data, window.padding, zero)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    shape = (batch, channel_blocks, *window.output(height, width), block)
    sums = te.compute(
        shape,
        lambda n, c, h, w, v: te.sum(
            product(padded[n, c, h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, v], weight[c, kh, kw, v]),
            axis=[kh, kw],
        ),
        name="depthwise_conv2d",
        attrs=anchored("depthwise"),
    )
    return image_output(sums, lambda *at: at, shape, terms, how)


def by_pairs(
    data: te.Tensor, weight: te.Tensor, *terms: te.Tensor, window: Window, zero: int, how: Finish
) -> te.Tensor:
    """Return the same as `by_taps` of a window without dilation of rows, two rows at a time."""
    batch, channel_blocks, height, width, block = extents(data)
    shape = (batch, channel_blocks, *window.output(height, width), block)
    stride_h, stride_w = window.stride
    starts, count = pairing(window)
    kp = te.reduce_axis((0, count), name="kp")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    levels = paired_levels(data, window, zero, (shape[2] - 1) * stride_h // PAIR + count)
    taps = paired_taps(weight, starts, count)
    sums = te.compute(
        shape,
        lambda n, c, h, w, v: te.sum(
            two_products(
                levels[n, c, h * stride_h // PAIR + kp, w * stride_w + kw * window.dilation[1], v],
                taps[c, h * stride_h % PAIR if starts > 1 else 0, kp, kw, v],
            ),
            axis=[kp, kw],
        ),
        name="depthwise_conv2d",
        attrs=anchored("depthwise", {STEP: PAIR}),
    )
    return image_output(sums, lambda *at: at, shape, terms, how)


def pairing(window: Window) -> tuple[int, int]:
    """Return in how many rows of a pair windows begin, and how many pairs one spans."""
    starts = 1 if window.stride[0] % PAIR == 0 else PAIR
    return starts, -(-(window.kernel[0] + starts - 1) // PAIR)


def suits_pairs(window: Window) -> bool:
    """Return whether pairs of rows save products of a window."""
    return window.dilation[0] == 1 and pairing(window)[1] < window.kernel[0]


def paired_levels(data: te.Tensor, window: Window, zero: int, pairs: int) -> te.Tensor:
    """Return the levels of rows 2y and 2y + 1 of the padded data as the halves of int32 [N, C/b, pairs, W, b]."""
    batch, channel_blocks, height, width, block = extents(data)
    top, left, _, right = window.padding

    def level(n: Any, c: Any, y: Any, x: Any, v: Any) -> Any:
        inside = tirx.all(y >= top, y < height + top, x >= left, x < width + left)
        value = tirx.if_then_else(inside, data[n, c, y - top, x - left, v], tirx.const(zero, "uint8"))
        return tirx.Cast("int32", value)

    return te.compute(
        (batch, channel_blocks, pairs, left + width + right, block),
        lambda n, c, y, x, v: joined(level(n, c, PAIR * y, x, v), level(n, c, PAIR * y + 1, x, v)),
        name="pairs",
    )


def paired_taps(weight: te.Tensor, starts: int, count: int) -> te.Tensor:
    """Return the weights that meet each pair as the halves of int32 [C/b, starts, count, KW, b], 0 outside."""
    channel_blocks, height, width, block = extents(weight)

    def tap(c: Any, y: Any, x: Any, v: Any) -> Any:
        inside = tirx.all(y >= 0, y < height)
        return tirx.Cast("int32", tirx.if_then_else(inside, weight[c, y, x, v], tirx.const(0, "int8")))

    def pair(c: Any, start: Any, p: Any, x: Any, v: Any) -> Any:
        low = tirx.bitwise_and(tap(c, PAIR * p - start, x, v), tirx.const((1 << BITS) - 1, "int32"))
        return joined(low, tap(c, PAIR * p + 1 - start, x, v))

    return te.compute((channel_blocks, starts, count, width, block), pair, name="taps")


def joined(low: Any, high: Any) -> Any:
    """Return two whole numbers as the halves of one; the lower is from 0 to 65,535."""
    return tirx.bitwise_or(low, tirx.shift_left(high, tirx.const(BITS, "int32")))


def two_products(levels: Any, weights: Any) -> Any:
    """Return the sum of the products of both halves: the levels' from 0 to 255, the weights' signed."""
    bits = tirx.const(BITS, "int32")
    low = tirx.bitwise_and(levels, tirx.const((1 << BITS) - 1, "int32"))
    signed = tirx.shift_right(tirx.shift_left(weights, bits), bits)
    return low * signed + tirx.shift_right(levels, bits) * tirx.shift_right(weights, bits)
