"""Sorting along one axis, stable: values and the indices they come from.

Runs of 8 are sorted by insertion, then merged two by two between two arrays of indices. NaN is greater than any number,
as in torch; equal values keep their order.

Example: `Sort(axis=1, descending=True)` of [2, 5] gives float32 [2, 5] and int64 [2, 5].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.loops import goes_before, spread
from ovenbird.operators.own import ImageLayout, OwnOperator, Spec

RUN = 8
"""Elements that are sorted by insertion before the merging begins."""


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
        """Return the two arrays of indices."""
        return (Spec((2 * inputs[0].size,), "int32"),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the merge sort of all rows."""
        ((shape, dtype),) = inputs
        return sort_kernel(shape, dtype, self)


def rows_along(shape: Sequence[int], axis: int) -> tuple[int, int, int]:
    """Return how many elements lie before an axis, along it, and behind it."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


def sort_kernel(shape: Sequence[int], dtype: str, options: Sort) -> tirx.PrimFunc:
    """Return the function over data, values, indices and two arrays of indices."""
    before, count, behind = rows_along(shape, options.axis)
    rows, size, index_dtype = before * behind, math.prod(shape), options.index_dtype
    passes = max(0, math.ceil(math.log2(max(1, count / RUN))))
    work = rows * count * (passes + 4)

    def at(row: Any, place: Any) -> Any:
        return (row // behind * count + place) * behind + row % behind

    def sooner(left: Any, right: Any) -> Any:
        return goes_before(left, right, dtype, options.descending)

    @T.prim_func  # type: ignore[untyped-decorator]
    def sort(data_handle: T.handle, values_handle: T.handle, indices_handle: T.handle, order_handle: T.handle):  # type: ignore[no-untyped-def]
        data = T.match_buffer(data_handle, (size,), dtype)
        values = T.match_buffer(values_handle, (size,), dtype)
        indices = T.match_buffer(indices_handle, (size,), index_dtype)
        order = T.match_buffer(order_handle, (2 * size,), "int32")
        for row in spread(rows, work):
            base: T.let = row * count
            for run in T.serial(T.ceildiv(count, RUN)):
                for step in T.serial(T.min(RUN, count - run * RUN)):
                    hole: T.int32 = run * RUN + step
                    placed: T.bool = False
                    while tirx.all(tirx.Not(placed), hole > run * RUN):
                        if sooner(data[at(row, run * RUN + step)], data[at(row, order[base + hole - 1])]):
                            order[base + hole] = order[base + hole - 1]
                            hole = hole - 1
                        else:
                            placed = True
                    order[base + hole] = run * RUN + step
            for turn in T.serial(passes):
                width: T.let = T.shift_left(RUN, turn)
                source: T.let = turn % 2 * size + base
                target: T.let = (turn + 1) % 2 * size + base
                for pair in T.serial(T.ceildiv(count, 2 * width)):
                    left: T.int32 = pair * 2 * width
                    middle: T.let = T.min(pair * 2 * width + width, count)
                    right: T.int32 = middle
                    end: T.let = T.min(pair * 2 * width + 2 * width, count)
                    for place in T.serial(end - pair * 2 * width):
                        first: T.let = order[source + T.min(left, count - 1)]
                        second: T.let = order[source + T.min(right, count - 1)]
                        from_right: T.bool = False
                        if right < end:
                            from_right = tirx.any(left >= middle, sooner(data[at(row, second)], data[at(row, first)]))
                        order[target + T.min(pair * 2 * width + place, count - 1)] = tirx.Select(
                            from_right, second, first
                        )
                        if from_right:
                            right = right + 1
                        else:
                            left = left + 1
            for place in T.serial(count):
                chosen: T.let = order[passes % 2 * size + base + place]
                values[at(row, place)] = data[at(row, chosen)]
                indices[at(row, place)] = T.Cast(index_dtype, chosen)

    return sort
