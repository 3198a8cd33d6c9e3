"""Recurrent layers: the products with all inputs at once, then the loop over time of `operators.recurrent`.

outputs = recurrent(emit, options, Direction(data, input_weight, weight, bias, state, rest))
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import relax

from ovenbird.networks.composed.einsum import Emit
from ovenbird.operators.recurrent.layer import COLUMNS, Recurrent
from ovenbird.operators.writing.own import own_call, spec_of


@dataclass(frozen=True)
class Direction:
    """What one direction of a layer reads. G: gates, in the order of `operators.recurrent`; H: units.

    `data` [T, N, I], `input_weight` [G * H, I], `weight` [G * H, H], `bias` [G * H] or None, `state` [N, H].
    `rest`: what `Recurrent` takes behind the state.
    """

    data: Any
    input_weight: Any
    weight: Any
    bias: Any
    state: Any
    rest: tuple[Any, ...] = ()


def recurrent(emit: Emit, options: Recurrent, given: Direction) -> list[Any]:
    """Return the states of all times [T, N, H], the last [N, H], and an LSTM's last cell."""
    op = relax.op
    steps, rows, depth = spec_of(given.data).shape
    flat = emit(op.reshape(given.data, (steps * rows, depth)))
    gates = emit(op.matmul(flat, emit(op.permute_dims(given.input_weight))))
    if given.bias is not None:
        gates = emit(op.add(gates, given.bias))
    gates = emit(op.reshape(gates, (steps, rows, spec_of(gates).shape[1])))
    call = emit(own_call(options, gates, packed(emit, given.weight), given.state, *given.rest))
    return [emit(relax.TupleGetItem(call, index)) for index in range(len(call.ty.fields))]


def packed(emit: Emit, weight: Any) -> Any:
    """[G * H, H] -> [ceil(G * H / 64), H, 64], as `operators.recurrent.layer.pack_weights` does with an array."""
    outputs, hidden = spec_of(weight).shape
    if missing := -outputs % COLUMNS:
        weight = emit(relax.op.concat([weight, zeros((missing, hidden))], 0))
    blocks = emit(relax.op.reshape(weight, ((outputs + missing) // COLUMNS, COLUMNS, hidden)))
    return emit(relax.op.permute_dims(blocks, [0, 2, 1]))


def zeros(shape: tuple[int, ...]) -> Any:
    """Return float32 zeros."""
    return relax.const(np.zeros(shape, np.float32))


def reordered(emit: Emit, stacked: Any, order: tuple[int, ...]) -> Any:
    """Return what holds a part for each gate along its first axis with the parts in another order."""
    shape = spec_of(stacked).shape
    parts = emit(relax.op.reshape(stacked, (len(order), shape[0] // len(order), *shape[1:])))
    taken = emit(relax.op.take(parts, relax.const(np.array(order, np.int64)), 0))
    return emit(relax.op.reshape(taken, (len(order) * (shape[0] // len(order)), *shape[1:])))


def part(emit: Emit, stacked: Any, index: int) -> Any:
    """Return one entry along the first axis."""
    shape = spec_of(stacked).shape
    if shape[0] == 1:
        return emit(relax.op.reshape(stacked, shape[1:]))
    return emit(relax.op.take(stacked, relax.const(np.int64(index)), 0))


def piece(emit: Emit, vector: Any, start: int, end: int) -> Any:
    """Return elements `start` to `end` of the first axis."""
    shape = spec_of(vector).shape
    if (start, end) == (0, shape[0]):
        return vector
    return emit(relax.op.strided_slice(vector, [0], [start], [end]))


def stacked(emit: Emit, parts: list[Any], axis: int) -> Any:
    """Return tensors side by side along a new axis."""
    shape = list(spec_of(parts[0]).shape)
    shape.insert(axis, 1)
    wide = [emit(relax.op.reshape(each, tuple(shape))) for each in parts]
    return wide[0] if len(wide) == 1 else emit(relax.op.concat(wide, axis))
