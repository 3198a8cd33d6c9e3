"""Zeros around images, in one pass over the rows.

Example: `ZeroBorder((1, 1, 1, 1))` of [1, 64, 128, 128] gives [1, 64, 130, 130].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from ovenbird.operators.writing.loops import spread, write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec


@dataclass(frozen=True)
class ZeroBorder(OwnOperator):
    """`border`: the rows above, columns before, rows below and columns behind."""

    name = "zero_border"
    border: tuple[int, int, int, int]

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the larger images."""
        top, left, bottom, right = self.border
        *images, height, width = inputs[0].shape
        return (Spec((*images, top + height + bottom, left + width + right), inputs[0].dtype),)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the copies of all rows."""
        (output,) = self.outputs(inputs)
        *_, height, width = inputs[0].shape
        *_, rows, columns = output.shape
        top, left, _, right = self.border
        zero = tirx.const(0, output.dtype)

        def body(source: Any, target: Any) -> None:
            def zeros(row: Any, first: int, count: int) -> None:
                if count:
                    with T.serial(count) as step:
                        T.buffer_store(target, zero, [row * columns + first + step])

            with spread(output.size // columns, output.size) as row:
                image, own = row // rows, row % rows
                with T.If(tirx.all(own >= top, own < top + height)):
                    with T.Then():
                        zeros(row, 0, left)
                        with T.serial(width) as step:
                            # As a place within the image, which the compiler cannot see in the condition
                            inner = tirx.max(tirx.min(own - top, height - 1), 0)
                            value = source[(image * height + inner) * width + step]
                            T.buffer_store(target, value, [row * columns + left + step])
                        zeros(row, left + width, right)
                    with T.Else():
                        zeros(row, 0, columns)

        return write_kernel(self.name, [((spec.size,), spec.dtype) for spec in (inputs[0], output)], body)
