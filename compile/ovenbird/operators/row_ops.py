"""Normalisations over the last axis: softmax and layer norm, each row read from the cache after the first time.

Sums and maxima go over `width` lanes side by side and across them at the end. Where whole vectors do not divide the row
the last one lies over the one before it, and what it repeats counts once.

Example: a layer norm of [1, 197, 768] with 16 lanes adds 48 vectors a row.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import RowStages, anchored
from ovenbird.operators.dense import ravel, unravel
from ovenbird.operators.layout import extents

Element = Callable[[Any, Any], Any]


def larger(one: Any, other: Any) -> Any:
    """Return the larger of two floats, in one instruction: of NaN and a number, either."""
    return tirx.Select(one > other, one, other)


largest = te.comm_reducer(larger, tirx.min_value, name="largest")
"""The maximum of a row whose elements are all used again: what is NaN makes the row NaN by itself."""


def reduce_rows(element: Element, rows: int, columns: int, lanes: int, reducer: Any, name: str) -> te.Tensor:
    """[rows]: `reducer` (a sum or a maximum) over the columns of `element(row, column)`."""
    width = vector_width(columns, lanes)

    def own(r: Any, o: Any, v: Any) -> Any:
        if columns % width == 0:
            return element(r, o * width + v)
        column = tirx.min(o * width, columns - width) + v
        return once(reducer, column >= o * width, element(r, column))

    return reduce_vectors(own, rows, -(-columns // width), width, reducer, name)


def reduce_vectors(
    element: Callable[[Any, Any, Any], Any], rows: int, vectors: int, width: int, reducer: Any, name: str
) -> te.Tensor:
    """[rows]: `reducer` over `vectors` vectors of `element(row, vector, lane)`."""
    o = te.reduce_axis((0, vectors), name="o")
    partial = te.compute(
        (rows, width),
        lambda r, v: reducer(element(r, o, v), axis=[o]),
        name=f"{name}{RowStages.LANES}",
        attrs=anchored("rows"),
    )
    return te.compute((rows,), lambda r: across([partial[r, v] for v in range(width)], reducer), name=name)


def across(lanes: list[Any], reducer: Any) -> Any:
    """Return the sum or maximum of some lanes, in pairs: one after the other each would wait for the one before it."""
    join = larger if reducer is largest else operator.add
    while len(lanes) > 1:
        half = (len(lanes) + 1) // 2
        lanes = [*map(join, lanes, lanes[half:]), *lanes[len(lanes) - half : half]]
    return lanes[0]


def once(reducer: Any, new: Any, element: Any) -> Any:
    """Return the element for the vector where it is `new`; a maximum takes it twice, a sum takes a zero."""
    value = tirx.convert(element)
    return value if reducer is largest else tirx.Select(new, value, tirx.const(0, value.ty.dtype))


def vector_width(columns: int, lanes: int) -> int:
    """Return the lanes of a row's vectors: a divisor of its length, unless that is less than half a vector."""
    width = math.gcd(columns, lanes)
    return width if 2 * width >= lanes else min(columns, lanes)


def shaped(element: Element, shape: tuple[int, ...], name: str) -> te.Tensor:
    """Return the tensor of `shape` of which `element` gives the value at a row and a column."""
    return te.compute(shape, lambda *index: element(ravel(index[:-1], shape[:-1]), index[-1]), name=name)


def softmax(data: te.Tensor, lanes: int) -> te.Tensor:
    """exp(x - max) / sum of that, over the last axis. A row of minus infinities gives NaN, as in torch.

    The powers are kept in whole vectors: where those do not divide the row, the last one repeats a part of another.
    """
    shape = extents(data)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    width = vector_width(columns, lanes)
    vectors = -(-columns // width)
    highest = reduce_rows(lambda r, c: at(data, r, c), rows, columns, lanes, largest, "row_max")

    whole = columns // width * width

    def column(o: Any, v: Any) -> Any:
        return o * width + v if columns == whole else tirx.min(o * width, columns - width) + v

    def place(c: Any) -> Any:
        return c if columns == whole else tirx.Select(c < whole, c, c + (vectors * width - columns))

    powers = te.compute(
        (rows, vectors * width),
        lambda r, k: tirx.exp(at(data, r, column(k // width, k % width)) - highest[r]),
        name=RowStages.POWERS,
    )

    def power(r: Any, o: Any, v: Any) -> Any:
        found = powers[r, o * width + v]
        return found if columns == whole else once(te.sum, column(o, v) >= o * width, found)

    total = reduce_vectors(power, rows, vectors, width, te.sum, "row_sum")
    share = te.compute((rows,), lambda r: tirx.const(1.0, data.dtype) / total[r], name=RowStages.FACTOR)
    return shaped(lambda r, c: powers[r, place(c)] * share[r], shape, "softmax")


def layer_norm(data: te.Tensor, scale: te.Tensor, shift: te.Tensor, epsilon: float, lanes: int) -> te.Tensor:
    """(x - mean) / sqrt(variance + epsilon) * scale + shift, over the last axis (Ba et al. 2016).

    The variance is the mean square of what is left after the mean is taken off: a difference of two large sums would
    lose its digits.
    """
    shape = extents(data)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    share = tirx.const(1.0 / columns, data.dtype)
    total = reduce_rows(lambda r, c: at(data, r, c), rows, columns, lanes, te.sum, "row_sum")

    def centred(r: Any, c: Any) -> Any:
        return at(data, r, c) - total[r] * share

    squares = reduce_rows(lambda r, c: centred(r, c) * centred(r, c), rows, columns, lanes, te.sum, "row_squares")
    factor = te.compute(
        (rows,),
        lambda r: tirx.const(1.0, data.dtype) / tirx.sqrt(squares[r] * share + tirx.const(epsilon, data.dtype)),
        name=RowStages.FACTOR,
    )
    return shaped(lambda r, c: centred(r, c) * factor[r] * scale[c] + shift[c], shape, "layer_norm")


def at(data: te.Tensor, row: Any, column: Any) -> Any:
    """Return the element of a tensor at a row of its leading axes taken as one, and a column."""
    at = (*unravel(row, extents(data)[:-1]), column)
    return data[at]
