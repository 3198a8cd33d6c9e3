"""One direction of a recurrent layer: LSTM, GRU or a plain RNN, as a loop over time in the generated code.

The products with the inputs do not depend on each other and come as one matrix, `gates`. What is left of a step is the
product with the state before it, and the gates of each unit.

Example: `Recurrent("lstm", 64, ...)` of gates [20, 2, 256], weights [4, 64, 64] and states [2, 64] twice gives
[20, 2, 64] and the two last states.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.recurrent.activations import Activation, activate, number
from ovenbird.operators.writing.loops import hold, spread, write_kernel
from ovenbird.operators.writing.own import ImageLayout, OwnOperator, Spec
from ovenbird_runtime.tensors.arrays import Array

COLUMNS = 64
"""Columns of the weights that are multiplied together: four vectors of 16."""
LANES = 16

GATES = {"lstm": 4, "gru": 3, "rnn": 1}
"""lstm: input, forget, cell, output; gru: reset, update, new."""


@dataclass(frozen=True)
class Recurrent(OwnOperator):
    """Inputs: gates [T, N, G * H], packed weights, state [N, H]; lstm: cell [N, H]; gru: the new gate's bias [H];
    then weights of the cell [3 * H] (input, output, forget), where `peepholes`; lengths int32 [N], where `lengths`.

    `activations`: of the gates, of the new values, and of an LSTM's cell. `clip`: of what goes into them; 0: none.
    `linear`: a GRU's reset applies behind the product (torch). `coupled`: an LSTM forgets what it does not take in.
    """

    name = "recurrent"
    kind: Literal["lstm", "gru", "rnn"]
    hidden: int
    reverse: bool
    activations: tuple[Activation, ...]
    clip: float = 0.0
    linear: bool = True
    coupled: bool = False
    peepholes: bool = False
    lengths: bool = False

    def outputs(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the states of all times, and the last one of each row; lstm: the last cell as well."""
        (steps, rows, _), dtype = inputs[0]
        last = Spec((rows, self.hidden), dtype)
        return (Spec((steps, rows, self.hidden), dtype), last, *([last] if self.kind == "lstm" else []))

    def scratch(self, inputs: Sequence[Spec]) -> tuple[Spec, ...]:
        """Return the product; a GRU whose reset comes first: what it multiplies then, and that product."""
        rows, columns = inputs[0].shape[1], columns_of(self.kind, self.hidden)
        sizes = (rows * columns,) if self.linear else (rows * columns, rows * self.hidden, rows * columns)
        return tuple(Spec((size,), "float32") for size in sizes)

    def kernel(self, inputs: Sequence[Spec], layout: ImageLayout) -> tirx.PrimFunc:
        """Return the loop over time."""
        specs = [*inputs, *self.outputs(inputs), *self.scratch(inputs)]
        return write_kernel(
            self.name, [((spec.size,), spec.dtype) for spec in specs], LoopWriter(self, inputs[0]).write
        )


def columns_of(kind: str, hidden: int) -> int:
    """Return the columns of packed weights: whole groups of `COLUMNS`."""
    return -(-GATES[kind] * hidden // COLUMNS) * COLUMNS


def pack_weights(weights: Array) -> Array:
    """[G * H, H] -> [ceil(G * H / 64), H, 64]."""
    outputs, hidden = weights.shape
    padded = np.pad(weights, ((0, -outputs % COLUMNS), (0, 0)))
    return np.ascontiguousarray(padded.reshape(-1, COLUMNS, hidden).transpose(0, 2, 1))


class LoopWriter:
    """Writes the kernel of one `Recurrent`."""

    def __init__(self, options: Recurrent, gates: Spec) -> None:
        self.options, self.hidden = options, options.hidden
        self.steps, self.rows, self.width = gates.shape
        self.columns = columns_of(options.kind, options.hidden)
        self.lanes = math.gcd(self.hidden, LANES)

    def write(self, gates: Any, weights: Any, *rest: Any) -> None:
        """Write the statements, given the buffers of inputs, outputs and scratch."""
        options, names = self.options, iter(rest)
        self.gates, self.weights, start = gates, weights, next(names)
        second: Any = next(names) if options.kind != "rnn" else None
        self.peepholes: Any = next(names) if options.peepholes else None
        self.lengths: Any = next(names) if options.lengths else None
        self.result, self.state = next(names), next(names)
        self.cell: Any = next(names) if options.kind == "lstm" else None
        self.bias = second
        self.sums = next(names)
        self.faded, self.again = (self.state, self.sums) if options.linear else (next(names), next(names))
        with spread(self.rows, self.rows * self.hidden) as row, builder.serial(self.hidden) as unit:
            builder.buffer_store(self.state, start[row * self.hidden + unit], [row * self.hidden + unit])
            if self.cell is not None:
                builder.buffer_store(self.cell, second[row * self.hidden + unit], [row * self.hidden + unit])
        with builder.serial(self.steps) as step:
            self.product(self.state, self.sums)
            if not options.linear:
                self.units(step, self.fade)
                self.product(self.faded, self.again)
            self.units(step, {"lstm": self.lstm, "gru": self.gru, "rnn": self.rnn}[options.kind])

    def product(self, state: Any, sums: Any) -> None:
        """Multiply each row's state by the weights."""
        groups, depth = self.columns // COLUMNS, self.hidden
        with spread(self.rows * groups, self.rows * self.columns * depth // 8) as task:
            row, group = task // groups, task % groups
            totals = builder.alloc_buffer((COLUMNS,), "float32", scope="local")
            for at in range(0, COLUMNS, LANES):
                with builder.vectorized(LANES) as lane:
                    builder.buffer_store(totals, number(0.0), [at + lane])
            with builder.serial(depth) as k:
                for at in range(0, COLUMNS, LANES):
                    with builder.vectorized(LANES) as lane:
                        weight = self.weights[(group * depth + k) * COLUMNS + at + lane]
                        builder.buffer_store(totals, totals[at + lane] + state[row * depth + k] * weight, [at + lane])
            for at in range(0, COLUMNS, LANES):
                with builder.vectorized(LANES) as lane:
                    builder.buffer_store(sums, totals[at + lane], [row * self.columns + group * COLUMNS + at + lane])

    def units(self, step: Any, write: Callable[[Any, Any, Any], None]) -> None:
        """Call `write(time, row, unit)` for each row that has this step, a vector of units at a time."""
        groups = self.hidden // self.lanes
        with spread(self.rows * groups, self.rows * self.hidden * 8) as task:
            row, first = task // groups, task % groups * self.lanes
            length = self.length(row)
            time = hold(length - 1 - step if self.options.reverse else step)
            if self.lengths is None:
                with builder.vectorized(self.lanes) as lane:
                    write(time, row, first + lane)
                return
            with builder.If(step < length):
                with builder.Then(), builder.vectorized(self.lanes) as lane:
                    write(time, row, first + lane)
                with builder.Else(), builder.vectorized(self.lanes) as lane:
                    at = (step * self.rows + row) * self.hidden + first + lane
                    builder.buffer_store(self.result, number(0.0), [at])

    def length(self, row: Any) -> Any:
        """Return the steps that a row has: from 0 to all of them."""
        if self.lengths is None:
            return tirx.const(self.steps, "int32")
        given = tirx.Cast("int32", self.lengths[row])
        return hold(tirx.max(tirx.min(given, self.steps), 0))

    def given(self, time: Any, row: Any, unit: Any, gate: int) -> Any:
        """Return what the input adds to a gate."""
        inside = tirx.max(time, 0)
        return self.gates[(inside * self.rows + row) * self.width + gate * self.hidden + unit]

    def summed(self, row: Any, unit: Any, gate: int) -> Any:
        """Return what the state adds to a gate."""
        return self.sums[row * self.columns + gate * self.hidden + unit]

    def gate(self, time: Any, row: Any, unit: Any, gate: int, more: Any = None, kind: int = 0) -> Any:
        """Return a gate behind its activation, the one numbered `kind`."""
        total = self.given(time, row, unit, gate) + self.summed(row, unit, gate)
        return self.activated(total if more is None else total + more, kind)

    def activated(self, total: Any, kind: int) -> Any:
        """Return the activation numbered `kind`, behind the clip."""
        if self.options.clip:
            limit = number(self.options.clip)
            total = tirx.max(tirx.min(total, limit), number(0.0) - limit)
        return activate(self.options.activations[kind], total)

    def store(self, time: Any, row: Any, unit: Any, value: Any) -> None:
        """Write the new state of a unit."""
        builder.buffer_store(self.state, value, [row * self.hidden + unit])
        at = (tirx.max(time, 0) * self.rows + row) * self.hidden + unit
        builder.buffer_store(self.result, self.state[row * self.hidden + unit], [at])

    def rnn(self, time: Any, row: Any, unit: Any) -> None:
        """h' = f(x + R h)."""
        self.store(time, row, unit, self.gate(time, row, unit, 0))

    def lstm(self, time: Any, row: Any, unit: Any) -> None:
        """c' = f c + i g, h' = o h(c'), where i, f and o may see the cell (Gers & Schmidhuber 2000)."""
        at = row * self.hidden + unit
        before = self.cell[at]

        def peep(which: int) -> Any:
            return None if self.peepholes is None else self.peepholes[which * self.hidden + unit] * self.cell[at]

        taken = self.gate(time, row, unit, 0, peep(0))
        kept = number(1.0) - taken if self.options.coupled else self.gate(time, row, unit, 1, peep(2))
        builder.buffer_store(self.cell, kept * before + taken * self.gate(time, row, unit, 2, kind=1), [at])
        shown = self.gate(time, row, unit, 3, peep(1))
        self.store(time, row, unit, shown * activate(self.options.activations[2], self.cell[at]))

    def fade(self, time: Any, row: Any, unit: Any) -> None:
        """r h, which the new gate's weights multiply where the reset comes first."""
        at = row * self.hidden + unit
        builder.buffer_store(self.faded, self.gate(time, row, unit, 0) * self.state[at], [at])

    def gru(self, time: Any, row: Any, unit: Any) -> None:
        """h' = (1 - z) n + z h."""
        update = self.gate(time, row, unit, 1)
        new = self.again[row * self.columns + 2 * self.hidden + unit] + self.bias[unit]
        if self.options.linear:
            new = self.gate(time, row, unit, 0) * new
        new = self.activated(self.given(time, row, unit, 2) + new, 1)
        before = self.state[row * self.hidden + unit]
        self.store(time, row, unit, (number(1.0) - update) * new + update * before)
