"""Direct convolution in the blocked layout: dense (grouped or not), depthwise, and from a plain input of few channels.

Each function gives the unscheduled tensor expression; the block that accumulates carries the annotation
`ovenbird.anchor`, by which `ovenbird.backends.cpu.schedules` recognises it after fusion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import DILATION, DepthwiseStages, PointwiseStages, anchored
from ovenbird.operators.layout import extents


@dataclass(frozen=True)
class Window:
    """A sliding window: kernel, stride and dilation as (height, width); padding as (top, left, bottom, right)."""

    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    dilation: tuple[int, int] = (1, 1)

    def output(self, height: int, width: int) -> tuple[int, int]:
        """Return the output's (height, width) for an input of `height` x `width` pixels."""
        top, left, bottom, right = self.padding
        reach = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
        return (
            (height + top + bottom - reach[0]) // self.stride[0] + 1,
            (width + left + right - reach[1]) // self.stride[1] + 1,
        )

    @property
    def pointwise(self) -> bool:
        """True for a 1x1 window that visits every pixel once."""
        return self.kernel == (1, 1) and self.stride == (1, 1) and not any(self.padding)


def pad(
    data: te.Tensor,
    padding: tuple[int, int, int, int],
    value: float = 0.0,
    converted: Callable[[Any], Any] | None = None,
) -> te.Tensor:
    """Pad axes 2 and 3 (height, width) of `data`, blocked or plain, with `value`.

    `converted`: what each element becomes on the way; the result is of its dtype.
    """
    top, left, bottom, right = padding
    if not any(padding):
        if converted is None:
            return data
        return te.compute(extents(data), lambda *at: converted(data(*at)), name="convert")
    shape = list(extents(data))
    height, width = shape[2], shape[3]
    shape[2] += top + bottom
    shape[3] += left + right

    def body(n, c, h, w, *lane):  # type: ignore[no-untyped-def]
        inside = []
        if top:
            inside.append(h >= top)
        if bottom:
            inside.append(h < height + top)
        if left:
            inside.append(w >= left)
        if right:
            inside.append(w < width + left)
        element, dtype = data(n, c, h - top, w - left, *lane), data.dtype
        if converted is not None:
            element = converted(element)
            dtype = element.ty.dtype
        return tirx.if_then_else(tirx.all(*inside), element, tirx.const(value, dtype))

    return te.compute(tuple(shape), body, name=DepthwiseStages.PADDED)


def conv2d(data: te.Tensor, weight: te.Tensor, window: Window, groups: int = 1) -> te.Tensor:
    """Dense or grouped convolution: [N, I/b, H, W, b] * [O/b, I/g/b, KH, KW, b, b] -> [N, O/b, OH, OW, b].

    With groups, both the input's and the output's channels of one group fill whole blocks.
    """
    batch, _, height, width, block = extents(data)
    out_blocks, in_blocks = extents(weight)[:2]
    group_out = out_blocks // groups
    out_height, out_width = window.output(height, width)
    padded = pad(data, window.padding)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    ic = te.reduce_axis((0, in_blocks), name="ic")
    ii = te.reduce_axis((0, block), name="ii")

    def channel(o: Any) -> Any:
        return ic if groups == 1 else (o // group_out) * in_blocks + ic

    if window.pointwise:
        # One spatial axis: a register tile may run over the end of a row.
        flat = te.compute(
            (batch, out_blocks, height * width, block),
            lambda n, o, p, v: te.sum(
                padded[n, channel(o), p // width, p % width, ii] * weight[o, ic, 0, 0, ii, v],
                axis=[ic, ii],
            ),
            name=PointwiseStages.SUMS,
            attrs=anchored("tile"),
        )
        return te.compute(
            (batch, out_blocks, height, width, block),
            lambda n, o, h, w, v: flat[n, o, h * width + w, v],
            name=PointwiseStages.IMAGE,
        )
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    return te.compute(
        (batch, out_blocks, out_height, out_width, block),
        lambda n, o, h, w, v: te.sum(
            padded[n, channel(o), h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, ii]
            * weight[o, ic, kh, kw, ii, v],
            axis=[ic, kh, kw, ii],
        ),
        name="conv2d",
        attrs=anchored("tile", {DILATION: dilate_h} if dilate_h > 1 else None),
    )


def conv2d_from_plain(data: te.Tensor, weight: te.Tensor, window: Window) -> te.Tensor:
    """Convolution of a plain image: [N, I, H, W] * [O/b, I, KH, KW, b] -> [N, O/b, OH, OW, b]."""
    batch, inputs, height, width = extents(data)
    out_blocks, block = extents(weight)[0], extents(weight)[4]
    out_height, out_width = window.output(height, width)
    padded = pad(data, window.padding)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    ic = te.reduce_axis((0, inputs), name="ic")
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    return te.compute(
        (batch, out_blocks, out_height, out_width, block),
        lambda n, o, h, w, v: te.sum(
            padded[n, ic, h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w] * weight[o, ic, kh, kw, v],
            axis=[ic, kh, kw],
        ),
        name="conv2d",
        attrs=anchored("tile"),
    )


def depthwise_conv2d(data: te.Tensor, weight: te.Tensor, window: Window) -> te.Tensor:
    """Depthwise convolution: [N, C/b, H, W, b] * [C/b, KH, KW, b] -> [N, C/b, OH, OW, b]."""
    batch, channel_blocks, height, width, block = extents(data)
    out_height, out_width = window.output(height, width)
    padded = pad(data, window.padding)
    (stride_h, stride_w), (dilate_h, dilate_w) = window.stride, window.dilation
    kh = te.reduce_axis((0, window.kernel[0]), name="kh")
    kw = te.reduce_axis((0, window.kernel[1]), name="kw")
    return te.compute(
        (batch, channel_blocks, out_height, out_width, block),
        lambda n, c, h, w, v: te.sum(
            padded[n, c, h * stride_h + kh * dilate_h, w * stride_w + kw * dilate_w, v] * weight[c, kh, kw, v],
            axis=[kh, kw],
        ),
        name=DepthwiseStages.SUMS,
        attrs=anchored("depthwise"),
    )
