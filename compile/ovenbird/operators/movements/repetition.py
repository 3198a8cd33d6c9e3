"""Images made larger by repeating pixels: nearest neighbours at whole factors.

Example: `Repetition(2, 2)` of [1, 256, 40, 40] gives [1, 256, 80, 80]; a row is read once and written twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.writing.loops import spread, write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class Repetition(OwnOperator):
    """Each pixel of [N, C, H, W] `rows` times down and `columns` times across."""

    name = "repetition"
    rows: int
    columns: int

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the larger image."""
        ((*leading, height, width), dtype) = inputs[0]
        return (Spec((*leading, height * self.rows, width * self.columns), dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copies of all rows."""
        (outputs,) = self.outputs(inputs)
        *leading, width = inputs[0].shape
        rows = math.prod(leading)

        def body(source: Any, target: Any) -> None:
            with spread(rows, outputs.size) as row, builder.serial(width) as column:
                for down in range(self.rows):
                    for across in range(self.columns):
                        at = ((row * self.rows + down) * width + column) * self.columns + across
                        builder.buffer_store(target, source[row * width + column], [at])

        return write_kernel(self.name, [((spec.size,), spec.dtype) for spec in (inputs[0], outputs)], body)
