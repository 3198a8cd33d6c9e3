"""Group and instance norms in three steps: moments of small parts, moments of groups, and the map over all elements.

A part is what one lane sums while a piece of the tensor is in the first-level cache: its mean, and the sum of squares
of what is left after that mean is taken off. Parts are joined by Chan, Golub & LeVeque (1979), from the mean of the
first: no step takes the difference of two large sums, so a mean that is large against the spread costs no digits.

Both layouts are rows of memory that a group or a block of channels fills: `part_moments` is the same for both.

Example: [1, 64, 56, 56] in 8 groups is 8 rows of 25088 elements when plain, and 4 rows of 3136 vectors in blocks of 16.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import RowStages, anchored
from ovenbird.operators.layout import extents
from ovenbird.operators.writing.blocks import divisors

PIECE = 4096
"""Elements of a piece at most: half of a first-level cache, in floats."""

CHAINS = 4
"""Vectors summed side by side: an addition waits for the one before it in its own vector."""


@dataclass(frozen=True)
class Parts:
    """How rows of memory are cut: `rows` of `length`, in pieces, each summed in `lanes` parts of `steps` elements."""

    rows: int
    pieces: int
    steps: int
    lanes: int

    @classmethod
    def of(cls, rows: int, length: int, lanes: int) -> Parts:
        """Cut `length` into the longest pieces that a cache holds, each into as many lanes as divide it."""
        unit = math.gcd(length, lanes)
        wide = unit * max(divisors(length // unit, CHAINS))
        steps = max(divisors(length // wide, max(PIECE // wide, 1)))
        return cls(rows, length // wide // steps, steps, wide)


def part_moments(data: te.Tensor, parts: Parts) -> te.Tensor:
    """[rows, length] -> [rows * pieces, 2, lanes]: means, and sums of squares about them."""
    piece = parts.steps * parts.lanes
    shape = (parts.rows * parts.pieces, parts.lanes)
    share = tirx.const(1.0 / parts.steps, data.dtype)

    def at(row: Any, step: Any, lane: Any) -> Any:
        return data[row // parts.pieces, row % parts.pieces * piece + step * parts.lanes + lane]

    def summed(name: str, element: Callable[..., Any]) -> te.Tensor:
        step = te.reduce_axis((0, parts.steps), name="step")
        return te.compute(
            shape,
            lambda r, v: te.sum(element(r, step, v), axis=[step]),
            name=f"{name}{RowStages.LANES}",
            attrs=anchored("rows"),
        )

    total = summed("total", at)

    def centred(row: Any, step: Any, lane: Any) -> Any:
        return at(row, step, lane) - total[row, lane] * share

    rest = summed("rest", centred)
    squares = summed("squares", lambda r, s, v: centred(r, s, v) * centred(r, s, v))
    return te.compute(
        (parts.rows * parts.pieces, 2, parts.lanes),
        lambda r, which, v: tirx.if_then_else(
            which == 0,
            total[r, v] * share + rest[r, v] * share,
            squares[r, v] - rest[r, v] * rest[r, v] * share,
        ),
        name=RowStages.MOMENTS,
    )


PartPlace = Callable[[Any, Any], tuple[Any, Any]]
"""Gives the row and lane of a group's part, from the group and the number of the part."""


def group_moments(
    moments: te.Tensor, groups: int, count: int, steps: int, epsilon: float, place: PartPlace
) -> list[te.Tensor]:
    """Join `count` parts of `steps` elements for each group: means, and 1 / sqrt(variance + epsilon), each [groups]."""
    dtype = moments.dtype
    share = tirx.const(1.0 / count, dtype)

    def summed(name: str, element: Callable[..., Any]) -> te.Tensor:
        part = te.reduce_axis((0, count), name="part")
        return te.compute((groups,), lambda g: te.sum(element(g, part), axis=[part]), name=name)

    def mean_of(group: Any, part: Any) -> Any:
        row, lane = place(group, part)
        return moments[row, 0, lane]

    def squares_of(group: Any, part: Any) -> Any:
        row, lane = place(group, part)
        return moments[row, 1, lane]

    shifts = summed("shifts", lambda g, i: mean_of(g, i) - mean_of(g, 0))
    mean = te.compute((groups,), lambda g: mean_of(g, 0) + shifts[g] * share, name="mean")
    apart = summed(
        "apart",
        lambda g, i: (
            squares_of(g, i) + tirx.const(float(steps), dtype) * (mean_of(g, i) - mean[g]) * (mean_of(g, i) - mean[g])
        ),
    )
    factor = te.compute(
        (groups,),
        lambda g: (
            tirx.const(1.0, dtype)
            / tirx.sqrt(apart[g] * tirx.const(1.0 / (count * steps), dtype) + tirx.const(epsilon, dtype))
        ),
        name="factor",
    )
    return [mean, factor]


def spread_blocked(
    mean: te.Tensor, factor: te.Tensor, gamma: te.Tensor, batch: int, channels: int, block: int
) -> list[te.Tensor]:
    """[N * G] moments and [C] scales -> what to take off and to multiply by, each [N, C/b, 1, 1, b]."""
    groups = extents(mean)[0] // batch
    size = channels // groups

    def channel(c: Any, v: Any) -> Any:
        return tirx.min(c * block + v, channels - 1)

    def group(n: Any, c: Any, v: Any) -> Any:
        return n * groups + channel(c, v) // size

    shape = (batch, -(-channels // block), 1, 1, block)
    return [
        te.compute(shape, lambda n, c, h, w, v: mean[group(n, c, v)], name="mean_spread"),
        te.compute(shape, lambda n, c, h, w, v: factor[group(n, c, v)] * gamma[channel(c, v)], name="scale_spread"),
    ]


def normalize_blocked(data: te.Tensor, mean: te.Tensor, scale: te.Tensor, shift: te.Tensor) -> te.Tensor:
    """(x - mean) * scale + shift, the three [N or 1, C/b, 1, 1, b]."""
    return te.compute(
        data.shape,
        lambda n, c, h, w, v: (data[n, c, h, w, v] - mean[n, c, 0, 0, v]) * scale[n, c, 0, 0, v] + shift[0, c, 0, 0, v],
        name="normalize",
    )


def normalize_plain(
    data: te.Tensor, mean: te.Tensor, factor: te.Tensor, gamma: te.Tensor, beta: te.Tensor
) -> te.Tensor:
    """[N * C, length], [N * G] moments, [C] scales and shifts -> (x - mean) * factor * gamma + beta."""
    channels = extents(gamma)[0]
    size = extents(data)[0] // extents(mean)[0]
    return te.compute(
        data.shape,
        lambda r, v: (data[r, v] - mean[r // size]) * (factor[r // size] * gamma[r % channels]) + beta[r % channels],
        name="normalize",
    )
