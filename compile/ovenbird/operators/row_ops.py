"""Normalisations over the last axis: softmax and layer norm, each row read from the cache after the first time.

Sums and maxima go over `width` lanes side by side (the widest vector that divides the row) and across them at the end.

Example: a layer norm of [1, 197, 768] with 16 lanes adds 48 vectors a row.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from ovenbird.operators.anchors import RowStages, anchored
from ovenbird.operators.dense import ravel, unravel
from ovenbird.operators.layout import extents

Element = Callable[[Any, Any], Any]


def reduce_rows(element: Element, rows: int, columns: int, lanes: int, reducer: Any, name: str) -> te.Tensor:
    """[rows]: `reducer` over the columns of `element(row, column)`."""
    width = math.gcd(columns, lanes)
    o = te.reduce_axis((0, columns // width), name="o")
    partial = te.compute(
        (rows, width),
        lambda r, v: reducer(element(r, o * width + v), axis=[o]),
        name=f"{name}{RowStages.LANES}",
        attrs=anchored("rows"),
    )
    v = te.reduce_axis((0, width), name="v")
    return te.compute((rows,), lambda r: reducer(partial[r, v], axis=[v]), name=name)


def shaped(element: Element, shape: tuple[int, ...], name: str) -> te.Tensor:
    """Return the tensor of `shape` of which `element` gives the value at a row and a column."""
    return te.compute(shape, lambda *index: element(ravel(index[:-1], shape[:-1]), index[-1]), name=name)


def softmax(data: te.Tensor, lanes: int) -> te.Tensor:
    """exp(x - max) / sum of that, over the last axis. A row of minus infinities gives NaN, as in torch."""
    shape = extents(data)
    rows, columns = math.prod(shape[:-1]), shape[-1]
    highest = reduce_rows(lambda r, c: at(data, r, c), rows, columns, lanes, te.max, "row_max")
    powers = te.compute((rows, columns), lambda r, c: tirx.exp(at(data, r, c) - highest[r]), name=RowStages.POWERS)
    total = reduce_rows(lambda r, c: powers[r, c], rows, columns, lanes, te.sum, "row_sum")
    return shaped(lambda r, c: powers[r, c] / total[r], shape, "softmax")


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
