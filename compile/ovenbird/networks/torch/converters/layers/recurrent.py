"""`nn.LSTM`, `nn.GRU` and `nn.RNN`: each layer and direction a loop over time (`operators.recurrent`)."""

from __future__ import annotations

from typing import Any

from ovenbird.errors import UnsupportedOperator
from ovenbird.networks.torch.converters.converter import Arguments, Converter

SIGMOID, TANH, RELU = ("sigmoid", 0.0, 0.0), ("tanh", 0.0, 0.0), ("relu", 0.0, 0.0)


def layers(kind: Any, activations: tuple[Any, ...]) -> Converter:
    """Return a converter of `lstm`, `gru`, `rnn_tanh` or `rnn_relu`, over one tensor of inputs."""

    def convert(node: Any, importer: Any) -> Any:
        from tvm import relax

        from ovenbird.networks.composed.recurrent import part, stacked

        op = relax.op
        given = Arguments.of(node, importer)
        if given.dtype != "float32":
            raise UnsupportedOperator(f"a recurrent layer of {given.dtype}; known is float32")
        data, params = given["input"], list(given["params"])
        directions = 2 if given["bidirectional"] else 1
        count = int(given["num_layers"]) * directions
        each = 4 if given["has_biases"] else 2
        if len(params) != count * each:
            raise UnsupportedOperator("a recurrent layer with proj_size; apply a linear layer to its output instead")
        if given["batch_first"]:
            data = given.emit(op.permute_dims(data, [1, 0, 2]))
        states = list(given["hx"]) if kind == "lstm" else [given["hx"]]
        lasts: list[list[Any]] = [[] for _ in states]
        for layer in range(int(given["num_layers"])):
            found = []
            for direction in range(directions):
                index = layer * directions + direction
                start = [part(given.emit, state, index) for state in states]
                mine = params[index * each : (index + 1) * each]
                outputs = one_direction(given.emit, kind, activations, data, mine, start, reverse=direction == 1)
                found.append(outputs[0])
                for last, output in zip(lasts, outputs[1:], strict=True):
                    last.append(output)
            data = found[0] if directions == 1 else given.emit(op.concat(found, 2))
        if given["batch_first"]:
            data = given.emit(op.permute_dims(data, [1, 0, 2]))
        return relax.Tuple([data, *(stacked(given.emit, last, 0) for last in lasts)])

    return convert


def one_direction(
    emit: Any, kind: Any, activations: tuple[Any, ...], data: Any, params: list[Any], start: list[Any], reverse: bool
) -> list[Any]:
    """Return what one direction of one layer gives; `params`: two weights, and two biases or none."""
    from tvm import relax

    from ovenbird.networks.composed.recurrent import Direction, piece, recurrent, zeros
    from ovenbird.operators.recurrent.layer import Recurrent
    from ovenbird.operators.writing.own import spec_of

    hidden = spec_of(params[1]).shape[1]
    bias, rest = None, start[1:]
    if len(params) == 4:
        second = params[3]
        if kind == "gru":
            rest = [piece(emit, second, 2 * hidden, 3 * hidden)]
            second = emit(relax.op.concat([piece(emit, second, 0, 2 * hidden), zeros((hidden,))], 0))
        bias = emit(relax.op.add(params[2], second))
    elif kind == "gru":
        rest = [zeros((hidden,))]
    options = Recurrent(kind, hidden, reverse, activations)
    return recurrent(emit, options, Direction(data, params[0], params[1], bias, start[0], tuple(rest)))


RECURRENT: dict[str, Converter] = {
    "gru.input": layers("gru", (SIGMOID, TANH)),
    "lstm.input": layers("lstm", (SIGMOID, TANH, TANH)),
    "rnn_relu.input": layers("rnn", (RELU,)),
    "rnn_tanh.input": layers("rnn", (TANH,)),
}
