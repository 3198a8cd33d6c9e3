"""The largest or smallest elements along one axis, in order: values and indices.

Candidates are gathered in their order, until there is no more room; then the k-th best rank among them is found bit by
bit, counting how many are better, and only the k best stay. Of what follows only what is better than that rank becomes
a candidate: a step of the way without one costs a comparison of vectors. In the end the k are sorted. Of equal values
the one with the lowest index comes first. NaN is greater than any number, as in torch.

Example: `TopK(axis=1, count=300, largest=True)` of [1, 8400] gives float32 [1, 300] and int64 [1, 300].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.indexing.ranks import least_rank, rank_bits, rank_dtype, rank_of, sort_ranks
from ovenbird.operators.indexing.sort import rows_along
from ovenbird.operators.writing.loops import held, spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

STEP = 16
"""Elements that are looked at together."""

FEW = 16
"""So many and fewer are kept in order all the time."""


@dataclass(frozen=True)
class TopK(OwnOperator):
    """`count` elements along `axis`, from 0, which has at least as many."""

    name = "topk"
    axis: int
    count: int
    largest: bool = True
    index_dtype: str = "int64"

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return values and indices."""
        shape = (*inputs[0].shape[: self.axis], self.count, *inputs[0].shape[self.axis + 1 :])
        return (Spec(shape, inputs[0].dtype), Spec(shape, self.index_dtype))

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return candidates' ranks and places, with room for as many again."""
        shape, dtype = inputs[0]
        rows = math.prod(shape) // shape[self.axis]
        size = rows * 2 * room_for(shape[self.axis], self.count)
        return (Spec((size,), rank_dtype(dtype)), Spec((size,), "int32"))

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the selection in all rows."""
        write = few_kernel if self.count <= FEW else topk_kernel
        return write(inputs[0].shape, inputs[0].dtype, self)


@dataclass(frozen=True)
class _Lines:
    """The rows that lie along an axis, of `behind` elements behind it: where their elements are, and their ranks."""

    extent: int
    behind: int
    dtype: str
    largest: bool

    def at(self, row: Any, place: Any, along: int) -> Any:
        """Return where an element is in a tensor that has `along` of them along the axis."""
        return (row // self.behind * along + place) * self.behind + row % self.behind

    def rank(self, data: Any, row: Any, place: Any) -> Any:
        """Return the rank of an element of the data."""
        return rank_of(data[self.at(row, place, self.extent)], self.dtype, self.largest)


def topk_kernel(shape: Sequence[int], dtype: str, options: TopK) -> tirx.PrimFunc:
    """Return the function over data, values, indices, candidates' ranks and places."""
    before, extent, behind = rows_along(shape, options.axis)
    rows, count, index_dtype, ranks_dtype = before * behind, options.count, options.index_dtype, rank_dtype(dtype)
    size, chosen, room = math.prod(shape), before * behind * options.count, room_for(extent, count)
    steps, bits = -(-extent // STEP), rank_bits(ranks_dtype)

    lines = _Lines(extent, behind, dtype, options.largest)

    @T.prim_func  # type: ignore[untyped-decorator]
    def topk(  # type: ignore[no-untyped-def]
        data_handle: T.handle,
        values_handle: T.handle,
        indices_handle: T.handle,
        ranks_handle: T.handle,
        places_handle: T.handle,
    ):
        data = T.match_buffer(data_handle, (size,), dtype)
        values = T.match_buffer(values_handle, (chosen,), dtype)
        indices = T.match_buffer(indices_handle, (chosen,), index_dtype)
        ranks = T.match_buffer(ranks_handle, (rows * 2 * room,), ranks_dtype)
        places = T.match_buffer(places_handle, (rows * 2 * room,), "int32")
        for row in spread(rows, rows * (extent + count * 8)):
            base: T.let = row * 2 * room
            filled: T.int32 = 0
            all_of_them: T.bool = True
            limit = T.alloc_buffer((1,), ranks_dtype, scope="local")
            limit[0] = least_rank(ranks_dtype)
            for step in T.serial(steps + 1):
                better: T.int32 = 1
                if tirx.all(tirx.Not(all_of_them), step * STEP + STEP <= extent):
                    better = 0
                    for place in T.serial(STEP):
                        better = better + T.Cast("int32", lines.rank(data, row, step * STEP + place) < limit[0])
                if better > 0:
                    for place in T.serial(T.max(T.min(STEP, extent - step * STEP), 0)):
                        own = T.alloc_buffer((1,), ranks_dtype, scope="local")
                        own[0] = lines.rank(data, row, T.min(step * STEP + place, extent - 1))
                        ranks[base + held(filled, room)] = own[0]
                        places[base + held(filled, room)] = step * STEP + place
                        filled = filled + T.Cast("int32", tirx.any(all_of_them, own[0] < limit[0]))
                if tirx.any(filled > room - STEP, step == steps):
                    limit[0] = least_rank(ranks_dtype)
                    below: T.int32 = 0
                    bit: T.int32 = bits
                    while tirx.all(bit > 0, below < count):
                        bit = bit - 1
                        higher = T.alloc_buffer((1,), ranks_dtype, scope="local")
                        higher[0] = tirx.bitwise_xor(
                            limit[0], tirx.shift_left(tirx.const(1, ranks_dtype), T.Cast(ranks_dtype, bit))
                        )
                        found: T.int32 = 0
                        for place in T.serial(T.min(filled, room)):
                            found = found + T.Cast("int32", ranks[base + place] < higher[0])
                        if found <= count:
                            limit[0] = higher[0]
                            below = found
                    equal: T.int32 = count - below
                    kept: T.int32 = 0
                    for place in T.serial(T.min(filled, room)):
                        one = T.alloc_buffer((1,), ranks_dtype, scope="local")
                        one[0] = ranks[base + place]
                        ranks[base + held(kept, room)] = one[0]
                        places[base + held(kept, room)] = places[base + place]
                        same: T.let = tirx.all(one[0] == limit[0], equal > 0)
                        kept = kept + T.Cast("int32", tirx.any(one[0] < limit[0], same))
                        equal = equal - T.Cast("int32", same)
                    filled = kept
                    all_of_them = False
            sort_ranks(ranks, places, base, room, count)
            for place in T.serial(count):
                best: T.let = held(places[base + place], extent)
                values[lines.at(row, place, count)] = data[lines.at(row, best, extent)]
                indices[lines.at(row, place, count)] = T.Cast(index_dtype, best)

    return topk


def room_for(extent: int, count: int) -> int:
    """Return for how many candidates there is room: for twice as many as are wanted, and a step's."""
    return count if count <= FEW else min(extent, 2 * count) + STEP


def few_kernel(shape: Sequence[int], dtype: str, options: TopK) -> tirx.PrimFunc:
    """Return the same function, by insertion: what is better than the worst of the candidates takes its place among
    them.
    """
    before, extent, behind = rows_along(shape, options.axis)
    rows, count, index_dtype, ranks_dtype = before * behind, options.count, options.index_dtype, rank_dtype(dtype)
    size, chosen = math.prod(shape), before * behind * options.count

    lines = _Lines(extent, behind, dtype, options.largest)

    @T.prim_func  # type: ignore[untyped-decorator]
    def topk(  # type: ignore[no-untyped-def]
        data_handle: T.handle,
        values_handle: T.handle,
        indices_handle: T.handle,
        ranks_handle: T.handle,
        places_handle: T.handle,
    ):
        data = T.match_buffer(data_handle, (size,), dtype)
        values = T.match_buffer(values_handle, (chosen,), dtype)
        indices = T.match_buffer(indices_handle, (chosen,), index_dtype)
        ranks = T.match_buffer(ranks_handle, (rows * 2 * count,), ranks_dtype)
        places = T.match_buffer(places_handle, (rows * 2 * count,), "int32")
        for row in spread(rows, rows * extent):
            base: T.let = row * 2 * count
            filled: T.int32 = 0
            limit = T.alloc_buffer((1,), ranks_dtype, scope="local")
            limit[0] = least_rank(ranks_dtype)
            for step in T.serial(-(-extent // STEP)):
                better: T.int32 = 1
                if tirx.all(filled == count, step * STEP + STEP <= extent):
                    better = 0
                    for place in T.serial(STEP):
                        better = better + T.Cast("int32", lines.rank(data, row, step * STEP + place) < limit[0])
                if better > 0:
                    for place in T.serial(T.min(STEP, extent - step * STEP)):
                        own = T.alloc_buffer((1,), ranks_dtype, scope="local")
                        own[0] = lines.rank(data, row, T.min(step * STEP + place, extent - 1))
                        if tirx.any(filled < count, own[0] < limit[0]):
                            hole: T.int32 = T.min(filled, count - 1)
                            while tirx.all(hole > 0, own[0] < ranks[base + held(hole - 1, count)]):
                                ranks[base + held(hole, count)] = ranks[base + held(hole - 1, count)]
                                places[base + held(hole, count)] = places[base + held(hole - 1, count)]
                                hole = hole - 1
                            ranks[base + held(hole, count)] = own[0]
                            places[base + held(hole, count)] = step * STEP + place
                            filled = T.min(filled + 1, count)
                            limit[0] = ranks[base + held(filled - 1, count)]
            for place in T.serial(count):
                best: T.let = held(places[base + place], extent)
                values[lines.at(row, place, count)] = data[lines.at(row, best, extent)]
                indices[lines.at(row, place, count)] = T.Cast(index_dtype, best)

    return topk
