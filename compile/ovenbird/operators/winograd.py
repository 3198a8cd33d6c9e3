"""Winograd convolution F(m x m, 3 x 3) in the blocked layout, for 3x3 kernels of stride 1.

An m x m tile of outputs costs (m + 2)^2 multiplications, not 9 m^2: 2.25 times fewer for m = 2, 4 times for m = 4.
Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016, https://arxiv.org/abs/1509.09308.

Stages: `gather` (a padded tile), `rows` and `transform` (B^T d B), `winograd` (one matrix product for each of the
(m + 2)^2 points; the anchor), `columns` and `inverse` (A^T M A), `scatter` (tiles back to the image).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import te, tirx

from ovenbird.operators.anchors import WinogradStages as Stage
from ovenbird.operators.anchors import anchored
from ovenbird.operators.conv2d import Window
from ovenbird.operators.layout import blocks, extents
from ovenbird_runtime.tensors.arrays import Array

Matrix = tuple[tuple[float, ...], ...]
ROOT = math.sqrt(2)


@dataclass(frozen=True)
class Transform:
    """The matrices of F(m, 3): data B^T [m+2, m+2], kernel G [m+2, 3], output A^T [m, m+2]."""

    outputs: int
    data: Matrix
    kernel: Matrix
    result: Matrix

    @property
    def points(self) -> int:
        """m + 2, the side of a tile of inputs."""
        return self.outputs + 2

    @property
    def parities(self) -> tuple[Sequence[int], ...]:
        """The powers, even and odd: points of opposite signs differ in the sign of the odd ones."""
        return range(0, self.points, 2), range(1, self.points, 2)

    @property
    def pairs(self) -> tuple[Sequence[int], ...]:
        """The points: 0, those of opposite signs together, infinity."""
        last = self.points - 1
        return ((0,), *((at, at + 1) for at in range(1, last, 2)), (last,))


F2 = Transform(
    2,
    data=((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    kernel=((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1)),
    result=((1, 1, 1, 0), (0, 1, -1, -1)),
)
F4 = Transform(
    4,
    data=(
        (1, 0, -5 / 2, 0, 1, 0),
        (0, -ROOT, -2, ROOT / 2, 1, 0),
        (0, ROOT, -2, -ROOT / 2, 1, 0),
        (0, -ROOT / 2, -1 / 2, ROOT, 1, 0),
        (0, ROOT / 2, -1 / 2, -ROOT, 1, 0),
        (0, 1, 0, -5 / 2, 0, 1),
    ),
    kernel=(
        (1, 0, 0),
        (-2 / 3, -ROOT / 3, -1 / 3),
        (-2 / 3, ROOT / 3, -1 / 3),
        (1 / 6, ROOT / 6, 1 / 3),
        (1 / 6, -ROOT / 6, 1 / 3),
        (0, 0, 1),
    ),
    result=(
        (1, 1, 1, 1, 1, 0),
        (0, ROOT / 2, -ROOT / 2, ROOT, -ROOT, 0),
        (0, 1 / 2, 1 / 2, 2, 2, 0),
        (0, ROOT / 4, -ROOT / 4, 2 * ROOT, -2 * ROOT, 1),
    ),
)
"""At the points 0, +-sqrt(1/2), +-sqrt(2) and infinity: half of the error that the usual 0, +-1, +-2 have, a quarter of
the largest. Why points matter: Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for
Deep Neural Networks", TOMS 2020, https://arxiv.org/abs/1803.10986.
"""
TRANSFORMS = {2: F2, 4: F4}


def pack_winograd_weight(weight: Array, block: int, transform: Transform) -> Array:
    """OIHW (3x3) -> [O/b, m+2, m+2, I/b, b_in, b_out]: G g G^T, computed in float64.

    The blocks of outputs come first: what one thread multiplies lies in one piece of memory, in its order.
    """
    outputs, inputs = weight.shape[:2]
    sides = (transform.points, transform.points)
    packed = np.zeros((blocks(outputs, block), *sides, blocks(inputs, block), block, block), weight.dtype)
    for place, piece in enumerate(packed):  # the whole in float64 would be the most that a compile holds
        some = weight[place * block : (place + 1) * block]
        taps = np.ascontiguousarray(some.transpose(2, 3, 1, 0), np.float64)
        filled = piece.reshape(*sides, -1, block)[:, :, :inputs, : len(some)]
        for row, points in zip(transform.kernel, filled, strict=True):
            columns = _weighted(row, taps)
            for column, point in zip(transform.kernel, points, strict=True):
                point[:] = _weighted(column, columns)
    return packed


def _weighted(factors: Sequence[float], arrays: Array) -> Array:
    """Return the sum of arrays, each times its factor: an `einsum` of so few terms takes three times as long."""
    return functools.reduce(np.add, (factor * one for factor, one in zip(factors, arrays, strict=True) if factor))


def combine(matrix: Matrix, row, term, groups: Sequence[Sequence[int]]):  # type: ignore[no-untyped-def]
    """Row `row` of `matrix` times the vector `term(0), term(1), ...`, zeros left out; unrolled, `row` is a constant.

    Rows of points of opposite signs add up the same groups, one with the other sign: LLVM computes each group once.
    """
    result = None
    for index, coefficients in reversed(list(enumerate(matrix))):
        total = None
        for group in groups:
            some = [(coefficients[place], term(place)) for place in group if coefficients[place]]
            if not some:
                continue
            factor = some[-1][0]
            inner = None
            for coefficient, value in reversed(some):
                inner = _added(inner, coefficient / factor, value)
            total = _added(total, factor, inner)
        result = total if result is None else tirx.if_then_else(row == index, total, result)
    return result


def _added(total: Any, factor: float, value: Any) -> Any:
    """Add `factor` times a value to a total, None for nothing."""
    scaled = value if abs(factor) == 1 else value * tirx.const(abs(factor), "float32")
    if total is None:
        return scaled if factor > 0 else tirx.const(0, "float32") - scaled
    return total + scaled if factor > 0 else total - scaled


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
        lambda x, s, c, p, v: combine(transform.data, x, lambda r: tile[r, s, c, p, v], transform.parities),
        name=Stage.ROWS,
    )
    image = te.compute(
        tile.shape,
        lambda x, y, c, p, v: combine(transform.data, y, lambda s: rows[x, s, c, p, v], transform.parities),
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
        lambda i, y, o, p, v: combine(transform.result, i, lambda x: product[x, y, o, p, v], transform.pairs),
        name=Stage.COLUMNS,
    )
    inverse = te.compute(
        (m, m, out_blocks, tiles, block),
        lambda i, j, o, p, v: combine(transform.result, j, lambda y: columns[i, y, o, p, v], transform.pairs),
        name=Stage.INVERSE,
    )
    return te.compute(
        (batch, out_blocks, out_height, out_width, block),
        lambda n, o, h, w, v: inverse[h % m, w % m, o, (n * tiles_h + h // m) * tiles_w + w // m, v],
        name=Stage.SCATTER,
    )
