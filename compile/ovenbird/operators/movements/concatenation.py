"""Tensors side by side along one axis, copied row by row: a row is everything from the axis on.

Example: `Concatenation(2)` of [1, 8400, 4] and [1, 8400, 80] copies 8,400 times four elements and eighty.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.loops import spread, write_kernel
from ovenbird.operators.own import ImageLayout, OwnOperator, Spec

MANY_ROWS = 16
"""From so many rows on threads share rows; of fewer each is cut."""

PIECE = 4096
"""Elements that one thread copies of a long row."""


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
        starts, total = [0, *itertools.accumulate(lengths)], sum(lengths)

        def copy(source: Any, target: Any, row: Any, part: int, begin: Any, count: int) -> None:
            with builder.serial(count) as step:
                value = source[row * lengths[part] + begin + step]
                builder.buffer_store(target, value, [row * total + starts[part] + begin + step])

        def body(*tensors: Any) -> None:
            *sources, target = tensors
            if rows >= MANY_ROWS:
                with spread(rows, rows * total) as row:
                    for part, source in enumerate(sources):
                        copy(source, target, row, part, 0, lengths[part])
                return
            for part, source in enumerate(sources):
                length = lengths[part]
                pieces, count = -(-length // PIECE), min(length, PIECE)
                with spread(rows * pieces, rows * length) as task:
                    begin = tirx.min(task % pieces * PIECE, length - count)
                    copy(source, target, task // pieces, part, begin, count)

        outputs = self.outputs(inputs)
        return write_kernel(self.name, [((spec.size,), spec.dtype) for spec in (*inputs, *outputs)], body)
