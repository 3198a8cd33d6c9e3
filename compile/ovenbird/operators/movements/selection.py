"""Places of one axis in another order, known when compiling: borders that reflect, rolls.

Example: `Selection.of(3, [1, 0, 1, 2, 1])` reflects a row of three; runs of neighbours are copied as one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx

from ovenbird.operators.movements.copies import Piece, write_rows
from ovenbird.operators.writing.loops import write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec

MOST_RUNS = 32
"""Each run is a loop of its own in the kernel."""


@dataclass(frozen=True)
class Selection(OwnOperator):
    """`runs`: (first place, how many) along `axis`."""

    name = "selection"
    axis: int
    runs: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, axis: int, places: Sequence[int]) -> Selection:
        """Take places one by one."""
        runs: list[tuple[int, int]] = []
        for place in places:
            if runs and place == sum(runs[-1]):
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((place, 1))
        return cls(axis, tuple(runs))

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the input's shape but for the axis."""
        shape, dtype = inputs[0]
        count = sum(length for _, length in self.runs)
        return (Spec((*shape[: self.axis], count, *shape[self.axis + 1 :]), dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copies."""
        shape = inputs[0].shape
        rows, behind = math.prod(shape[: self.axis]), math.prod(shape[self.axis + 1 :])
        pieces = [Piece(0, first * behind, length * behind) for first, length in self.runs]

        def body(source: Any, target: Any) -> None:
            write_rows([(source, shape[self.axis] * behind)], target, rows, pieces)

        (output,) = self.outputs(inputs)
        return write_kernel(self.name, [((spec.size,), spec.dtype) for spec in (inputs[0], output)], body)
