"""Running sums and products along one axis, float32 accumulated in float64 as torch does.

Example: `Scan(axis=1, operation="sum", dtype="float32")` of [2, 3, 4] is torch's `cumsum(1)`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tvm import tirx
from tvm.script import tirx as T

from ovenbird.operators.indexing.sort import rows_along
from ovenbird.operators.writing.loops import spread
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

LANES = 16
"""Neighbouring rows that are accumulated side by side."""


@dataclass(frozen=True)
class Scan(OwnOperator):
    """`exclusive`: an element does not count itself. `reverse`: from the end."""

    name = "scan"
    axis: int
    operation: Literal["sum", "product"]
    dtype: str
    exclusive: bool = False
    reverse: bool = False

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return a tensor of the input's shape."""
        return (Spec(inputs[0].shape, self.dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the scan of all rows."""
        return scan_kernel(inputs[0].shape, inputs[0].dtype, self)


def scan_kernel(shape: Sequence[int], dtype: str, options: Scan) -> tirx.PrimFunc:
    """Return the function over data and result."""
    before, count, behind = rows_along(shape, options.axis)
    size, target, exclusive = math.prod(shape), options.dtype, options.exclusive
    lanes = min(LANES, behind)
    strips = -(-behind // lanes)
    wide = "float64" if "float" in target else target
    start = 0 if options.operation == "sum" else 1

    def joined(total: Any, value: Any) -> Any:
        value = tirx.Cast(wide, value)
        return total + value if options.operation == "sum" else total * value

    def at(row: Any, step: Any, lane: Any) -> Any:
        place = count - 1 - step if options.reverse else step
        return (row // strips * count + place) * behind + row % strips * lanes + lane

    @T.prim_func  # type: ignore[untyped-decorator]
    def scan(data_handle: T.handle, result_handle: T.handle):  # type: ignore[no-untyped-def]
        data = T.match_buffer(data_handle, (size,), dtype)
        result = T.match_buffer(result_handle, (size,), target)
        for row in spread(before * strips, size):
            totals = T.alloc_buffer((lanes,), wide, scope="local")
            for lane in T.serial(lanes):
                totals[lane] = tirx.const(start, wide)
            for step in T.serial(count):
                for lane in T.serial(lanes):
                    if row % strips * lanes + lane < behind:
                        if exclusive:
                            result[at(row, step, lane)] = T.Cast(target, totals[lane])
                        totals[lane] = joined(totals[lane], data[at(row, step, lane)])
                        if not exclusive:
                            result[at(row, step, lane)] = T.Cast(target, totals[lane])

    return scan
