"""Tensors side by side along one axis, copied row by row: a row is everything from the axis on.

Example: `Concatenation(2)` of [1, 8400, 4] and [1, 8400, 80] copies 8,400 times four elements and eighty.
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


@dataclass(frozen=True)
class Concatenation(OwnOperator):
    """All inputs have the same shape but for `axis`, and at least one element each."""

    name = "concatenate"
    axis: int

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the whole."""
        (shape, dtype), axis = inputs[0], self.axis
        return (Spec((*shape[:axis], sum(spec.shape[axis] for spec in inputs), *shape[axis + 1 :]), dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copies."""
        rows = math.prod(inputs[0].shape[: self.axis])
        lengths = [spec.size // rows for spec in inputs]
        pieces = [Piece(index, 0, length) for index, length in enumerate(lengths)]

        def body(*tensors: Any) -> None:
            *sources, target = tensors
            write_rows([*zip(sources, lengths, strict=True)], target, rows, pieces)

        outputs = self.outputs(inputs)
        return write_kernel(self.name, [((spec.size,), spec.dtype) for spec in (*inputs, *outputs)], body)
