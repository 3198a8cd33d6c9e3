"""Pooling in the blocked layout."""

from __future__ import annotations

from tvm import te, tirx

from ovenbird.operators.conv2d import ANCHOR, Window, pad
from ovenbird.operators.layout import extents


def max_pool2d(data: te.Tensor, window: Window, output: tuple[int, int]) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, OH, OW, b]; padding counts as minus infinity (the type's lowest value)."""
    lowest = float(tirx.min_value(data.dtype).value)
    return _reduce(pad(data, window.padding, lowest), window, output, te.max, "max_pool2d")


def sum_pool2d(data: te.Tensor, window: Window, output: tuple[int, int]) -> te.Tensor:
    """The sum over each window, padding counted as zero; an average divides it by the count."""
    return _reduce(pad(data, window.padding), window, output, te.sum, "sum_pool2d")


def _reduce(padded, window, output, reducer, name):  # type: ignore[no-untyped-def]
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
        attrs={ANCHOR: "depthwise"},
    )


def spatial_mean(data: te.Tensor) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N, C/b, 1, 1, b], the mean over height and width."""
    batch, channel_blocks, height, width, block = extents(data)
    rh = te.reduce_axis((0, height), name="rh")
    rw = te.reduce_axis((0, width), name="rw")
    total = te.compute(
        (batch, channel_blocks, 1, 1, block),
        lambda n, c, h, w, v: te.sum(data[n, c, rh, rw, v], axis=[rh, rw]),
        name="spatial_sum",
        attrs={ANCHOR: "lanes"},
    )
    scale = tirx.const(1.0 / (height * width), data.dtype)
    return te.compute(
        (batch, channel_blocks, 1, 1, block),
        lambda n, c, h, w, v: total[n, c, h, w, v] * scale,
        name="spatial_mean",
    )
