"""The largest or smallest elements along one axis, in order: values and indices.

A heap of k candidates has the worst of them on top; whatever is better takes its place. At the end the heap is emptied,
worst first. Of equal values the one with the lowest index comes first. NaN is greater than any number, as in torch.

Example: `TopK(axis=1, count=300, largest=True)` of [1, 8400] gives float32 [1, 300] and int64 [1, 300].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.indexing.sort import rows_along
from ovenbird.operators.loops import follows, goes_before, spread
from ovenbird.operators.own import ImageLayout, OwnOperator, Spec


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
        """Return the heaps."""
        return (Spec((self.outputs(inputs)[0].size,), "int32"),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the selection in all rows."""
        return topk_kernel(inputs[0].shape, inputs[0].dtype, self)


def topk_kernel(shape: Sequence[int], dtype: str, options: TopK) -> tirx.PrimFunc:
    """Return the function over data, values, indices and heaps."""
    before, extent, behind = rows_along(shape, options.axis)
    rows, count, index_dtype = before * behind, options.count, options.index_dtype
    size, chosen = math.prod(shape), before * behind * options.count
    work = rows * (extent + count * 8)

    def at(row: Any, place: Any, along: int) -> Any:
        return (row // behind * along + place) * behind + row % behind

    def worse(left: Any, right: Any, left_value: Any, right_value: Any) -> Any:
        """Return whether candidate `left` is to be given up before `right`; -1 stands for none."""
        later = tirx.all(follows(left_value, right_value, dtype, options.largest), left > right)
        behind_it = tirx.any(goes_before(right_value, left_value, dtype, options.largest), later)
        return tirx.all(right >= 0, tirx.any(left < 0, behind_it))

    @T.prim_func  # type: ignore[untyped-decorator]
    def topk(data_handle: T.handle, values_handle: T.handle, indices_handle: T.handle, heap_handle: T.handle):  # type: ignore[no-untyped-def]
        data = T.match_buffer(data_handle, (size,), dtype)
        values = T.match_buffer(values_handle, (chosen,), dtype)
        indices = T.match_buffer(indices_handle, (chosen,), index_dtype)
        heap = T.match_buffer(heap_handle, (chosen,), "int32")
        for row in spread(rows, work):
            base: T.let = row * count
            for place in T.serial(count):
                heap[base + place] = -1
            for step in T.serial(extent + count):
                item: T.int32 = step
                room: T.int32 = count
                if step >= extent:  # empty the heap: the worst goes last
                    room = extent + count - 1 - step
                    values[at(row, room, count)] = data[at(row, T.max(heap[base], 0), extent)]
                    indices[at(row, room, count)] = T.Cast(index_dtype, T.max(heap[base], 0))
                    item = heap[base + room]
                own: T.let = data[at(row, T.max(item, 0), extent)]
                top: T.let = heap[base]
                if tirx.any(step >= extent, worse(top, item, data[at(row, T.max(top, 0), extent)], own)):
                    hole: T.int32 = 0
                    sinking: T.bool = True
                    while tirx.all(sinking, 2 * hole + 1 < room):
                        child: T.int32 = 2 * hole + 1
                        one: T.int32 = heap[base + child]
                        other: T.int32 = heap[base + T.min(child + 1, count - 1)]
                        if tirx.all(
                            child + 1 < room,
                            worse(
                                other, one, data[at(row, T.max(other, 0), extent)], data[at(row, T.max(one, 0), extent)]
                            ),
                        ):
                            child = child + 1
                            one = other
                        if worse(one, item, data[at(row, T.max(one, 0), extent)], own):
                            heap[base + hole] = one
                            hole = child
                        else:
                            sinking = False
                    heap[base + hole] = item

    return topk
