"""Graphs within a graph: branches that are decided while importing, loops that are written out.

Where a branch hangs on the network's inputs, both are computed and one is taken, which both must allow.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from ovenbird.limits import MAX_LOOP_TURNS
from ovenbird.networks.onnx.node import Node, OnnxConverter, OnnxValue, as_expression, dtype_of, shape_of


def condition(node: Node) -> tuple[OnnxValue, ...]:
    """`If`: the branch taken; of both, one, where the condition is computed."""
    decided = node.known(0)
    if decided is not None:
        chosen = "then_branch" if bool(decided.reshape(-1)[0]) else "else_branch"
        return tuple(node.branch(node.attribute(chosen), ()))
    pairs = zip(*(node.branch(node.attribute(name), ()) for name in ("then_branch", "else_branch")), strict=True)
    return tuple(_one_of(node, then, other) for then, other in pairs)


def _one_of(node: Node, then: OnnxValue, other: OnnxValue) -> relax.Expr:
    if isinstance(then, list) or isinstance(other, list) or then is None or other is None:
        raise node.refuse("its condition is computed from the network's inputs, and a branch gives a sequence")
    if shape_of(then) != shape_of(other) or dtype_of(then) != dtype_of(other):
        raise node.refuse("its condition is computed from the network's inputs, and the branches' shapes differ")
    scalar = node.emit(relax.op.reshape(node.tensor(0), [1] * len(shape_of(then))))
    return relax.op.where(scalar, as_expression(then), as_expression(other))


def loop(node: Node) -> tuple[OnnxValue, ...]:
    """`Loop` of a known number of turns, its body once a turn."""
    count = node.integers(0, "number of turns")[0] if node.has(0) else MAX_LOOP_TURNS + 1
    going: OnnxValue = node.inputs[1] if node.has(1) else np.array(True)
    body = node.attribute("body")
    carried = list(node.inputs[2:])
    collected: list[list[OnnxValue]] = [[] for _ in range(len(body.output) - 1 - len(carried))]
    turn = 0
    while turn < count and _goes_on(node, going):
        if turn == MAX_LOOP_TURNS:
            raise node.refuse(f"it has more than {MAX_LOOP_TURNS} turns")
        results = node.branch(body, [np.array(turn, np.int64), going, *carried])
        going, carried = results[0], results[1 : 1 + len(carried)]
        for column, value in zip(collected, results[1 + len(carried) :], strict=True):
            column.append(value)
        turn += 1
    return (*carried, *(_stacked(node, column, 0, False) for column in collected))


def _goes_on(node: Node, going: OnnxValue) -> bool:
    if not isinstance(going, np.ndarray):
        raise node.refuse("when it ends is computed from the network's inputs")
    return bool(going.reshape(-1)[0])


def scan(node: Node) -> tuple[OnnxValue, ...]:
    """`Scan`: its body once a slice of the inputs."""
    if node.version < 9:
        raise node.refuse("version 8 scans batches; convert the model to a newer version")
    body, count = node.attribute("body"), node.attribute("num_scan_inputs")
    carried, scanned = list(node.inputs[:-count]), node.inputs[-count:]
    axes = [
        axis % len(shape_of(value))
        for axis, value in zip(node.attribute("scan_input_axes") or [0] * count, scanned, strict=True)
    ]
    turned = node.attribute("scan_input_directions") or [0] * count
    turns = shape_of(scanned[0])[axes[0]]
    if turns > MAX_LOOP_TURNS:
        raise node.refuse(f"it has {turns} turns, limit {MAX_LOOP_TURNS}")
    collected: list[list[OnnxValue]] = [[] for _ in range(len(body.output) - len(carried))]
    for turn in range(turns):
        slices = [
            _slice(node, value, axis, turns - 1 - turn if backwards else turn)
            for value, axis, backwards in zip(scanned, axes, turned, strict=True)
        ]
        results = node.branch(body, [*carried, *slices])
        carried = results[: len(carried)]
        for column, value in zip(collected, results[len(carried) :], strict=True):
            column.append(value)
    axes = node.attribute("scan_output_axes") or [0] * len(collected)
    turned = node.attribute("scan_output_directions") or [0] * len(collected)
    columns = zip(collected, axes, turned, strict=True)
    return (*carried, *(_stacked(node, column, axis, bool(back)) for column, axis, back in columns))


def _slice(node: Node, value: OnnxValue, axis: int, place: int) -> OnnxValue:
    if isinstance(value, np.ndarray):
        return np.take(value, place, axis)
    part = node.emit(relax.op.strided_slice(value, [axis], [place], [place + 1]))
    return node.emit(relax.op.squeeze(part, [axis]))


def _stacked(node: Node, values: list[Any], axis: int, backwards: bool) -> OnnxValue:
    if not values:
        raise node.refuse("it has no turns, and its outputs no elements")
    values = values[::-1] if backwards else values
    if all(isinstance(value, np.ndarray) for value in values):
        return np.stack(values, axis)
    axis %= len(shape_of(values[0])) + 1
    parts = [node.emit(relax.op.expand_dims(as_expression(value), axis)) for value in values]
    return node.emit(relax.op.concat(parts, axis)) if len(parts) > 1 else parts[0]


CONTROL: dict[str, OnnxConverter] = {
    "If": condition,
    "Loop": loop,
    "Scan": scan,
}
