"""Sums of products of levels: convolutions and matrix products, uint8 data times int8 weights, exact in int32.

Four products are one step (`dot`): a schedule turns them into the instruction that the processor has. Weights lie as
that wants them, [..., 4 inputs of each of b outputs]. What becomes of a sum follows at once (`finish`).

Example: data [1, 4, 56, 56, 16], weights [4, 4, 3, 3, 4, 64], a `Finish` to levels -> uint8 [1, 4, 56, 56, 16].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import NARROW
from ovenbird.operators.conv2d import Window, pad
from ovenbird.operators.layout import extents
from ovenbird.operators.quantized.rounding import EXACT, LEVEL_RANGE, centred, nearest_level
from ovenbird.operators.quantized.steps import conv2d_sums, matmul_sums

TAPS = 4
"""Products of one step."""


@dataclass(frozen=True)
class Finish:
    """What becomes of a sum `a` of an output channel: `float32(a + correction) * multiplier + bias + residual`.

    The sums' tensors are followed by `correction` (int32), `multiplier` and `bias` (float32), each with a value for
    each output channel, and a `residual` (uint8 levels of the output's shape), where there are any. `low`, `high`: what
    the result is held in, in whole numbers where it becomes levels. `zero`: of those levels; None: it stays float32.
    """

    correction: bool
    bias: bool
    residual: tuple[float, int] | None
    """Its scale, in units of the result, and its zero."""
    low: float
    high: float
    zero: int | None
    small: bool = False
    """Whether no result is beyond int32, whatever the data, before it is held in a range."""


def finished(total: Any, channel: tuple[Any, ...], at: tuple[Any, ...], terms: Sequence[te.Tensor], how: Finish) -> Any:
    """Return one output, from its sum; `at` is its place in the residual."""
    rest = list(terms)
    if how.correction:
        total = total + rest.pop(0)[channel]
    value = tirx.Cast("float32", total) * rest.pop(0)[channel]
    if how.bias:
        value = value + rest.pop(0)[channel]
    if how.residual is not None:
        scale, zero = how.residual
        value = value + tirx.Cast("float32", centred(rest.pop(0)[at], zero)) * tirx.const(scale, "float32")
    if how.zero is not None:
        return nearest_level(value, int(how.low), int(how.high), how.zero)
    if not math.isinf(how.low):
        value = tirx.max(value, tirx.const(how.low, "float32"))
    return value if math.isinf(how.high) else tirx.min(value, tirx.const(how.high, "float32"))


def product(level: Any, weight: Any) -> Any:
    """Return a level times a weight, as int32."""
    return tirx.Cast("int32", level) * tirx.Cast("int32", weight)


def image_output(
    sums: te.Tensor,
    place: Callable[..., tuple[Any, ...]],
    shape: tuple[int, ...],
    terms: Sequence[te.Tensor],
    how: Finish,
) -> te.Tensor:
    """Return the image [N, O/b, OH, OW, b] of finished sums; `place` says where an output's sum lies."""
    grid = {} if how.zero is None else {LEVEL_RANGE: [int(how.low), int(how.high), how.zero, int(how.small)]}
    return te.compute(
        shape,
        lambda n, o, h, w, v: finished(sums[place(n, o, h, w, v)], (o, v), (n, o, h, w, v), terms, how),
        name="finish",
        attrs={EXACT: 1, **grid},
    )


def conv2d(
    data: te.Tensor,
    weight: te.Tensor,
    *terms: te.Tensor,
    window: Window,
    groups: int,
    zero: int,
    how: Finish,
    narrow: bool = False,
) -> te.Tensor:
    """Dense or grouped, padded with `zero`; `narrow`: as `packing.is_narrow` says of the weights.

    [N, I/c, H, W, c] * [O/b, I/g/c, KH, KW, c/4, b*4] -> [N, O/b, OH, OW, b].
    """
    out_blocks, lanes = extents(weight)[0], extents(weight)[5] // TAPS
    size = window.output(*extents(data)[2:4])
    padded = pad(data, window.padding, zero)
    sums, place = conv2d_sums(padded, weight, product, TAPS, window, groups, size, {NARROW: 1} if narrow else {})
    return image_output(sums, place, (extents(data)[0], out_blocks, *size, lanes), terms, how)


def matmul(
    data: te.Tensor,
    weight: te.Tensor,
    *terms: te.Tensor,
    columns: int,
    tile_rows: int,
    how: Finish,
    narrow: bool = False,
) -> te.Tensor:
    """[M, K] * [N/b, ceil(K/4), b*4] -> [M, N], in whole tiles of rows (`operators.dense`)."""
    rows, depth = extents(data)
    _, steps, width = extents(weight)
    lanes = width // TAPS
    source = data
    if depth < steps * TAPS:
        zero = tirx.const(0, data.dtype)
        source = te.compute(
            (rows, steps * TAPS),
            lambda m, k: tirx.if_then_else(k < depth, data[m, tirx.min(k, depth - 1)], zero),
            name="pad",
        )
    sums = matmul_sums(source, weight, product, TAPS, tile_rows, {NARROW: 1} if narrow else {})

    def body(m: Any, n: Any) -> Any:
        channel = (n // lanes, n % lanes)
        return finished(sums[n // lanes, m, n % lanes], channel, (m, n), terms, how)

    return te.compute((rows, columns), body, name="finish", attrs={EXACT: 1})
