"""Pooling in the blocked layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import anchored
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import extents
from ovenbird.operators.reductions.arg_extreme import lowest

SUMS = 8
"""Sums side by side in a mean at most: an addition takes 2 to 4 cycles, and two start in each."""


def max_pool2d(data: te.Tensor, window: Window, output: tuple[int, int]) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, OH, OW, b]; padding counts as minus infinity, or the lowest of whole numbers."""
    least = float(lowest(str(data.dtype), largest=True).value)
    maximum = te.comm_reducer(
        lambda a, b: tirx.max(a, b), lambda dtype: lowest(str(dtype), largest=True), name="maximum"
    )
    return _reduce(pad(data, window.padding, least), window, output, maximum, "max_pool2d")


def sum_pool2d(data: te.Tensor, window: Window, output: tuple[int, int]) -> te.Tensor:
    """Return the sum over each window, padding counted as zero; an average divides it by the count."""
    return _reduce(pad(data, window.padding), window, output, te.sum, "sum_pool2d")


def _reduce(
    padded: te.Tensor, window: Window, output: tuple[int, int], reducer: Callable[..., Any], name: str
) -> te.Tensor:
    batch, channel_blocks, _, _, block = extents(padded)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    return te.compute(
        (batch, channel_blocks, *output, block),
        lambda n, c, h, w, v: reducer(
            padded[n, c, h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, v], axis=[kh, kw]
        ),
        name=name,
        attrs=anchored("depthwise"),
    )


def spatial_mean(data: te.Tensor) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, 1, 1, b], the mean over height and width.

    Several sums side by side, each over every so many-th pixel, are added up in the end.
    """
    batch, channel_blocks, height, width, block = extents(data)
    pixels = height * width
    sums = max(count for count in range(1, SUMS + 1) if pixels % count == 0)
    step = te.reduce_axis((0, pixels // sums), name="step")

    partial = te.compute(
        (batch, channel_blocks, sums, block),
        lambda n, c, s, v: te.sum(data[n, c, (step * sums + s) // width, (step * sums + s) % width, v], axis=[step]),
        name="spatial_sum",
        attrs=anchored("lanes"),
    )
    scale = tirx.const(1.0 / pixels, data.dtype)

    def total(n, c, h, w, v):  # type: ignore[no-untyped-def]
        values = [partial[n, c, s, v] for s in range(sums)]
        while len(values) > 1:
            pairs = zip(values[::2], values[1::2], strict=False)
            values = [a + b for a, b in pairs] + values[len(values) & ~1 :]
        return values[0] * scale

    return te.compute((batch, channel_blocks, 1, 1, block), total, name="spatial_mean")


def adaptive_sizes(size: int, outputs: int) -> list[int]:
    """Return the pixels in each window of an adaptive pooling along one axis: output i
    covers [i * size / outputs, ...).
    """
    return [-(-(i + 1) * size // outputs) - i * size // outputs for i in range(outputs)]


def adaptive_sum_pool2d(data: te.Tensor, output: tuple[int, int]) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, OH, OW, b], the sum over each window of an adaptive pooling."""
    batch, channel_blocks, height, width, block = extents(data)
    rows, columns = output
    kh = te.reduce_axis((0, max(adaptive_sizes(height, rows))), name="kh")
    kw = te.reduce_axis((0, max(adaptive_sizes(width, columns))), name="kw")
    zero = tirx.const(0, data.dtype)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        top, left = h * height // rows, w * width // columns
        inside = tirx.all(top + kh < -(-(h + 1) * height // rows), left + kw < -(-(w + 1) * width // columns))
        pixel = data[n, c, tirx.min(top + kh, height - 1), tirx.min(left + kw, width - 1), v]
        return te.sum(tirx.if_then_else(inside, pixel, zero), axis=[kh, kw])

    shape = (batch, channel_blocks, rows, columns, block)
    return te.compute(shape, body, name="adaptive_sum_pool2d", attrs=anchored("lanes"))
