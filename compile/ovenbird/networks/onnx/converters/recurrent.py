"""LSTM, GRU and RNN: each direction a loop over time (`operators.recurrent`)."""

from __future__ import annotations

from typing import Any

from tvm import relax

from ovenbird.networks.composed.recurrent import Direction, part, piece, recurrent, reordered, stacked, zeros
from ovenbird.networks.onnx.node import Node, OnnxConverter, as_expression
from ovenbird.operators.recurrent.activations import DEFAULTS, KNOWN, Activation
from ovenbird.operators.recurrent.layer import GATES, Recurrent

ORDERS: dict[str, tuple[int, ...]] = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2), "rnn": (0,)}
"""The gates of `operators.recurrent` by ONNX's places."""
USUAL = {"lstm": ("sigmoid", "tanh", "tanh"), "gru": ("sigmoid", "tanh"), "rnn": ("tanh",)}
X, W, R, B, LENGTHS, STATE, CELL, PEEPHOLES = range(8)
DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}


def layer(node: Node) -> tuple[Any, ...]:
    """`LSTM`, `GRU`, `RNN`: the states of all times, the last state, and an LSTM's last cell."""
    kind = node.op_type.lower()
    batch_first = bool(node.attribute("layout", 0))
    data = node.tensor(X)
    if batch_first:
        data = node.emit(relax.op.permute_dims(data, [1, 0, 2]))
    found = [
        direction(node, kind, index, reverse, data, batch_first)
        for index, reverse in enumerate(DIRECTIONS[node.attribute("direction", "forward")])
    ]
    states, last, *cells = (list(each) for each in zip(*found, strict=True))
    everything = stacked(node.emit, states, 1)
    if batch_first:
        everything = node.emit(relax.op.permute_dims(everything, [2, 0, 1, 3]))
    lasts = [stacked(node.emit, each, 1 if batch_first else 0) for each in (last, *cells)]
    return (everything, *lasts)


def direction(node: Node, kind: str, index: int, reverse: bool, data: Any, batch_first: bool) -> list[Any]:
    """Return what one direction of the layer gives."""
    emit, order = node.emit, ORDERS[kind]
    gates = GATES[kind]
    hidden, rows = node.shape(R)[2], node.shape(X)[0 if batch_first else 1]

    def state(place: int) -> Any:
        if not node.has(place):
            return zeros((rows, hidden))
        value = node.tensor(place)
        if batch_first:
            value = emit(relax.op.permute_dims(value, [1, 0, 2]))
        return part(emit, value, index)

    bias, rest = None, []
    if kind == "lstm":
        rest.append(state(CELL))
    linear = bool(node.attribute("linear_before_reset", 0)) if kind == "gru" else True
    if node.has(B):
        both = part(emit, node.tensor(B), index)
        first, second = (
            reordered(emit, piece(emit, both, at * gates * hidden, (at + 1) * gates * hidden), order) for at in (0, 1)
        )
        if kind == "gru":
            rest.append(piece(emit, second, 2 * hidden, 3 * hidden))
            second = emit(relax.op.concat([piece(emit, second, 0, 2 * hidden), zeros((hidden,))], 0))
        bias = emit(relax.op.add(first, second))
    elif kind == "gru":
        rest.append(zeros((hidden,)))
    peepholes = kind == "lstm" and node.has(PEEPHOLES)
    if peepholes:
        rest.append(part(emit, node.tensor(PEEPHOLES), index))
    if node.has(LENGTHS):
        rest.append(emit(relax.op.astype(as_expression(node.tensor(LENGTHS)), "int32")))
    options = Recurrent(
        kind,  # type: ignore[arg-type]
        hidden,
        reverse,
        activations(node, kind, index),
        clip=float(node.attribute("clip") or 0.0),
        linear=linear,
        coupled=bool(node.attribute("input_forget", 0)),
        peepholes=peepholes,
        lengths=node.has(LENGTHS),
    )
    weights = [reordered(emit, part(emit, node.tensor(place), index), order) for place in (W, R)]
    return recurrent(emit, options, Direction(data, weights[0], weights[1], bias, state(STATE), tuple(rest)))


def activations(node: Node, kind: str, index: int) -> tuple[Activation, ...]:
    """Return the activations of a direction; their numbers are given for those that take some, in order."""
    count = len(USUAL[kind])
    names = [name.lower() for name in node.attribute("activations") or USUAL[kind] * 2]
    numbers = [iter(node.attribute(name) or ()) for name in ("activation_alpha", "activation_beta")]
    found: list[Activation] = []
    for name in names:
        if name not in KNOWN:
            raise node.refuse(f"the activation {name!r} is none of {', '.join(KNOWN)}")
        usual = DEFAULTS.get(name)
        alpha, beta = (
            (0.0, 0.0) if usual is None else (next(given, each) for given, each in zip(numbers, usual, strict=True))
        )
        found.append((name, float(alpha), float(beta)))
    chosen = found[index * count : (index + 1) * count]
    if len(chosen) != count:
        raise node.refuse(f"{len(names)} activations are given, {count} are needed for each direction")
    return tuple(chosen)


RECURRENT: dict[str, OnnxConverter] = {
    "GRU": layer,
    "LSTM": layer,
    "RNN": layer,
}
