"""Sorting along one axis, stable: values and the indices they come from.

By digits of the elements' ranks (`ranks`): as many steps for any data. NaN is greater than any number, as in torch;
equal values keep their order.

Example: `Sort(axis=1, descending=True)` of [2, 5] gives float32 [2, 5] and int64 [2, 5].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.indexing.ranks import DIGIT, rank_bits, rank_dtype, rank_of, sort_ranks
from ovenbird.operators.writing.loops import held, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class Sort(OwnOperator):
    """The whole axis in order. `axis`: from 0; `index_dtype`: of the indices."""

    name = "sort"
    axis: int
    descending: bool
    index_dtype: str = "int64"

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return values and indices, both of the input's shape."""
        return (inputs[0], Spec(inputs[0].shape, self.index_dtype))

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the ranks and their order, with room for as many again."""
        size = 2 * inputs[0].size
        return (Spec((size,), rank_dtype(inputs[0].dtype)), Spec((size,), "int32"))

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the sort of all rows."""
        ((shape, dtype),) = inputs
        return sort_kernel(shape, dtype, self)


def rows_along(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return how many elements lie before an axis, along it, and behind it."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def sort_kernel(shape: Sequence[int], dtype: str, options: Sort) -> tirx.PrimFunc:
    """Return the function over data, values, indices, ranks and their order."""
    before, count, behind = rows_along(shape, options.axis)
    rows, size, index_dtype, ranks_dtype = before * behind, math.prod(shape), options.index_dtype, rank_dtype(dtype)
    work = rows * count * (rank_bits(ranks_dtype) // DIGIT + 1)

    def at(row: Any, place: Any) -> Any:
        return (row // behind * count + place) * behind + row % behind

    @T.prim_func  # type: ignore[untyped-decorator]
    def sort(  # type: ignore[no-untyped-def]
        data_handle: T.handle,
        values_handle: T.handle,
        indices_handle: T.handle,
        ranks_handle: T.handle,
        order_handle: T.handle,
    ):
        data = T.match_buffer(data_handle, (size,), dtype)
        values = T.match_buffer(values_handle, (size,), dtype)
        indices = T.match_buffer(indices_handle, (size,), index_dtype)
        ranks = T.match_buffer(ranks_handle, (2 * size,), ranks_dtype)
        order = T.match_buffer(order_handle, (2 * size,), "int32")
        for row in spread(rows, work):
            base: T.let = row * count
            for place in T.serial(count):
                ranks[base + place] = rank_of(data[at(row, place)], dtype, options.descending)
                order[base + place] = place
            sort_ranks(ranks, order, base, size, count)
            for place in T.serial(count):
                chosen: T.let = held(order[base + place], count)
                values[at(row, place)] = data[at(row, chosen)]
                indices[at(row, place)] = T.Cast(index_dtype, chosen)

    return sort
