"""Tensor expressions of the GPU side: matrix products (convolutions among them) and depthwise convolutions.

A convolution is a product C[i, j] = sum_k A[i, k] * B[j, k] whose rows i are output pixels, whose columns j are output
channels and whose A is read through the window ("implicit GEMM": A is never written to memory). Images: [N, H, W, C].

Example: `conv2d(data, weight, Window((3, 3), padding=(1, 1, 1, 1)), groups=1, bias=None)`.
"""

from __future__ import annotations

import math
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import RUNS, anchored
from ovenbird.operators.conv2d import Window
from ovenbird.operators.layout import extents

ACCUMULATOR = "float32"
"""Products accumulate in this dtype, whatever their operands are."""


def product(left: te.Tensor, right: te.Tensor, runs: tuple[int, int]) -> te.Tensor:
    """[S, I, K] times [S, J, K] gives float32 [S, I, J]; an operand whose S is 1 is shared by all of the other's.

    `runs`: what the annotation `RUNS` says.
    """
    left_batch, rows, inner = extents(left)
    right_batch, columns, _ = extents(right)
    batch = max(left_batch, right_batch)

    def spread(operand: te.Tensor, own_batch: int, length: int, name: str) -> te.Tensor:
        if own_batch == batch:
            return operand
        return te.compute((batch, length, inner), lambda s, i, k: operand[s % own_batch, i, k], name=f"{name}_spread")

    first, second = spread(left, left_batch, rows, "left"), spread(right, right_batch, columns, "right")
    k = te.reduce_axis((0, inner), name="k")
    return te.compute(
        (batch, rows, columns),
        lambda s, i, j: te.sum(first[s, i, k].astype(ACCUMULATOR) * second[s, j, k].astype(ACCUMULATOR), axis=k),
        name="product",
        attrs=anchored("product", {RUNS: [math.gcd(run, inner) for run in runs]}),
    )


def patches(data: te.Tensor, window: Window, groups: int) -> te.Tensor:
    """Return the [groups, N * OH * OW, KH * KW * C / groups] matrix of what each output pixel
    sees; zero outside the image.
    """
    batch, height, width, channels = extents(data)
    out_height, out_width = window.output(height, width)
    per_group = channels // groups
    _, kernel_width = window.kernel
    top, left = window.padding[:2]

    def element(group: Any, row: Any, k: Any) -> Any:
        image, pixel = row // (out_height * out_width), row % (out_height * out_width)
        y = pixel // out_width * window.stride[0] + k // (kernel_width * per_group) * window.dilation[0] - top
        x = pixel % out_width * window.stride[1] + k // per_group % kernel_width * window.dilation[1] - left
        value = data[image, y, x, group * per_group + k % per_group]
        if not any(window.padding):
            return value
        return tirx.if_then_else(tirx.all(y >= 0, y < height, x >= 0, x < width), value, tirx.const(0.0, data.dtype))

    shape = (groups, batch * out_height * out_width, math.prod(window.kernel) * per_group)
    return te.compute(shape, element, name="patches")


def conv2d(data: te.Tensor, weight: te.Tensor, bias: te.Tensor, window: Window, out_dtype: str) -> te.Tensor:
    """Convolution of [N, H, W, C] with weights [groups, O / groups, KH * KW * C / groups] and a float32 bias [O]."""
    batch, height, width, channels = extents(data)
    groups, columns, inner = extents(weight)
    out_height, out_width = window.output(height, width)
    runs = (math.gcd(channels, channels // groups), inner)
    sums = product(patches(data, window, groups), weight, runs)

    def element(n: Any, y: Any, x: Any, c: Any) -> Any:
        total = sums[c // columns, (n * out_height + y) * out_width + x, c % columns] + bias[c]
        return total.astype(out_dtype)

    return te.compute((batch, out_height, out_width, groups * columns), element, name="convolved")


def depthwise_conv2d(data: te.Tensor, weight: te.Tensor, bias: te.Tensor, window: Window, out_dtype: str) -> te.Tensor:
    """Convolution of each channel with kernels of its own: [N, H, W, C] with [KH, KW, C * multiplier]."""
    batch, height, width, channels = extents(data)
    kernel_height, kernel_width, outputs = extents(weight)
    out_height, out_width = window.output(height, width)
    multiplier = outputs // channels
    top, left = window.padding[:2]
    dy = te.reduce_axis((0, kernel_height), name="dy")
    dx = te.reduce_axis((0, kernel_width), name="dx")

    def tap(n: Any, y: Any, x: Any, c: Any) -> Any:
        row = y * window.stride[0] + dy * window.dilation[0] - top
        column = x * window.stride[1] + dx * window.dilation[1] - left
        value = data[n, row, column, c // multiplier].astype(ACCUMULATOR)
        if any(window.padding):
            inside = tirx.all(row >= 0, row < height, column >= 0, column < width)
            value = tirx.if_then_else(inside, value, tirx.const(0.0, ACCUMULATOR))
        return te.sum(value * weight[dy, dx, c].astype(ACCUMULATOR), axis=[dy, dx])

    shape = (batch, out_height, out_width, outputs)
    sums = te.compute(shape, tap, name="depthwise")
    return te.compute(shape, lambda *at: (sums(*at) + bias[at[-1]]).astype(out_dtype), name="convolved")


def matmul(left: te.Tensor, right: te.Tensor, shape: tuple[int, ...], out_dtype: str, transposed: bool) -> te.Tensor:
    """Return the product of [S, I, K] with [S or 1, J, K] (`transposed`) or [S, K, J], as a tensor of `shape`."""
    inner = extents(left)[-1]
    runs = (inner, inner if transposed else 1)
    if not transposed:
        batch, _, columns = extents(right)
        right_plain = right
        right = te.compute((batch, columns, inner), lambda s, j, k: right_plain[s, k, j], name="turned")
    sums = product(left, right, runs)
    _, rows, columns = extents(sums)

    def element(*at: Any) -> Any:
        flat: Any = 0
        for index, extent in zip(at[:-1], shape[:-1], strict=True):
            flat = flat * extent + index
        return sums[flat // rows, flat % rows, at[-1]].astype(out_dtype)

    return te.compute(shape, element, name="multiplied")
