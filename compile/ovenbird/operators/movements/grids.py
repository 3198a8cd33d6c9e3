"""A blocked image as the images that a dilated window sees: every d-th pixel of it, d x d images of one.

A window with gaps of d never sees pixels of two grids at once. On one grid it is a window without gaps, for which there
are faster algorithms.

Example: 28x28 pixels and a dilation of 2 give four images of 14x14.
"""

from __future__ import annotations

from tvm import te, tirx

from ovenbird.operators.layout import extents


def split_grids(data: te.Tensor, step: int) -> te.Tensor:
    """[N, C/b, H, W, b] -> [N * step^2, C/b, ceil(H / step), ceil(W / step), b]; zero where the image has ended."""
    batch, channels, height, width, block = extents(data)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        row, column = h * step + n // step % step, w * step + n % step
        value = data[n // (step * step), c, row, column, v]
        if height % step == 0 and width % step == 0:
            return value
        return tirx.if_then_else(tirx.all(row < height, column < width), value, tirx.const(0, data.dtype))

    shape = (batch * step * step, channels, -(-height // step), -(-width // step), block)
    return te.compute(shape, body, name="split_grids")


def join_grids(data: te.Tensor, step: int, height: int, width: int) -> te.Tensor:
    """[N * step^2, C/b, H', W', b] -> [N, C/b, height, width, b]: the way back."""
    batch, channels, _, _, block = extents(data)

    def body(n, c, h, w, v):  # type: ignore[no-untyped-def]
        return data[(n * step + h % step) * step + w % step, c, h // step, w // step, v]

    return te.compute((batch // (step * step), channels, height, width, block), body, name="join_grids")
