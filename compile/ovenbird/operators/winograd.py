"""Winograd convolution F(m x m, 3 x 3) in the blocked layout, for 3x3 kernels of stride 1.

An m x m tile of outputs costs (m + 2)^2 multiplications, not 9 m^2: 2.25 times fewer for m = 2, 4 times for m = 4.
Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, https://arxiv.org/abs/1509.09308.

Stages: `gather` (a padded tile), `rows` and `transform` (B^T d B), `winograd` (one matrix product for each of the
(m + 2)^2 points; the anchor), `columns` and `inverse` (A^T M A), `scatter` (tiles back to the image).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import WinogradStages as Stage
from ovenbird.operators.anchors import anchored
from ovenbird.operators.conv2d import Window
from ovenbird.operators.layout import blocks, extents, pack_conv_weight
from ovenbird_runtime.tensors.arrays import Array


@dataclass(frozen=True)
class Transform:
    """The matrices of F(m, 3): data B^T [m+2, m+2], kernel G [m+2, 3], output A^T [m, m+2]."""

    outputs: int
    data: tuple[tuple[float, ...], ...]
    kernel: tuple[tuple[float, ...], ...]
    result: tuple[tuple[float, ...], ...]

    @property
    def points(self) -> int:
        """m + 2, the side of a tile of inputs."""
        return self.outputs + 2


F2 = Transform(
    2,
    data=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    result=((1, 1, 1, 0), (0, 1, -1, -1)),
)
F4 = Transform(
    4,
    data=(
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
    kernel=(
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
    result=((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
)
TRANSFORMS = {2: F2, 4: F4}


def pack_winograd_weight(weight: Array, block: int, transform: Transform) -> Array:
    """OIHW (3x3) -> [O/b, m+2, m+2, I/b, b_in, b_out]: G g G^T, computed in float64.

    The blocks of outputs come first: what one thread multiplies lies in one piece of memory, in its order.
    """
    kernel = np.asarray(transform.kernel, np.float64)
    outputs, inputs = weight.shape[:2]
    sides = (transform.points, transform.points)
    packed = np.empty((blocks(outputs, block), *sides, blocks(inputs, block), block, block), weight.dtype)
    for place, piece in enumerate(packed):  # the whole in float64 would be the most that a compile holds
        some = weight[place * block : (place + 1) * block].astype(np.float64)
        points = np.einsum("xr,oirs,ys->oixy", kernel, some, kernel)
        piece[:] = pack_conv_weight(points.astype(weight.dtype), block)[0].transpose(1, 2, 0, 3, 4)
    return packed


def combine(matrix: Sequence[Sequence[float]], row, term):  # type: ignore[no-untyped-def]
    """Row `row` of `matrix` times the vector `term(0), term(1), ...`, zeros left out; unrolled, `row` is a constant."""
    result = None
    for index, coefficients in reversed(list(enumerate(matrix))):
        total = None
        for position, factor in enumerate(coefficients):
            if factor == 0:
                continue
            scaled = term(position) if abs(factor) == 1 else term(position) * tirx.const(abs(factor), "float32")
            if total is None:
                total = scaled if factor > 0 else tirx.const(0, "float32") - scaled
            else:
                total = total + scaled if factor > 0 else total - scaled
        result = total if result is None else tirx.if_then_else(row == index, total, result)
    return result


def winograd_conv2d(data: te.Tensor, weight: te.Tensor, window: Window) -> te.Tensor:
    """[N, I/b, H, W, b] * [O/b, m+2, m+2, I/b, b, b] -> [N, O/b, OH, OW, b], for a 3x3 window of stride 1."""
    batch, in_blocks, height, width, block = extents(data)
    out_blocks, points = extents(weight)[:2]
    transform = TRANSFORMS[points - 2]
    m = transform.outputs
    out_height, out_width = window.output(height, width)
    top, left = window.padding[:2]
    tiles_h, tiles_w = -(-out_height // m), -(-out_width // m)
    tiles = batch * tiles_h * tiles_w

    def gather(r, s, c, p, v):  # type: ignore[no-untyped-def]
        n, h, w = p // (tiles_h * tiles_w), p // tiles_w % tiles_h * m + r - top, p % tiles_w * m + s - left
        inside = tirx.all(h >= 0, h < height, w >= 0, w < width)
        return tirx.if_then_else(inside, data[n, c, h, w, v], tirx.const(0, data.dtype))

    tile = te.compute((points, points, in_blocks, tiles, block), gather, name=Stage.GATHER)
    rows = te.compute(
        tile.shape,
        lambda x, s, c, p, v: combine(transform.data, x, lambda r: tile[r, s, c, p, v]),
        name=Stage.ROWS,
    )
    image = te.compute(
        tile.shape,
        lambda x, y, c, p, v: combine(transform.data, y, lambda s: rows[x, s, c, p, v]),
        name=Stage.TRANSFORM,
    )
    ic = te.reduce_axis((0, in_blocks), name="ic")
    ii = te.reduce_axis((0, block), name="ii")
    product = te.compute(
        (points, points, out_blocks, tiles, block),
        lambda x, y, o, p, v: te.sum(image[x, y, ic, p, ii] * weight[o, x, y, ic, ii, v], axis=[ic, ii]),
        name=Stage.PRODUCT,
        attrs=anchored("winograd"),
    )
    columns = te.compute(
        (m, points, out_blocks, tiles, block),
        lambda i, y, o, p, v: combine(transform.result, i, lambda x: product[x, y, o, p, v]),
        name=Stage.COLUMNS,
    )
    inverse = te.compute(
        (m, m, out_blocks, tiles, block),
        lambda i, j, o, p, v: combine(transform.result, j, lambda y: columns[i, y, o, p, v]),
        name=Stage.INVERSE,
    )
    return te.compute(
        (batch, out_blocks, out_height, out_width, block),
        lambda n, o, h, w, v: inverse[h % m, w % m, o, (n * tiles_h + h // m) * tiles_w + w // m, v],
        name=Stage.SCATTER,
    )
