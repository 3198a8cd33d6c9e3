"""LSTM, GRU and plain RNN agree with ONNX Runtime: directions, lengths, peepholes, both forms of a GRU."""

import functools
import itertools

import numpy as np
import pytest

from ovenbird.operators.recurrent.layer import Recurrent, pack_weights
from support.one_node import run_node
from support.own_kernels import Call, run_operators

pytest.importorskip("onnxruntime")
STEPS, ROWS, DEPTH, HIDDEN = 6, 3, 5, 20
SIGMOID, TANH = ("sigmoid", 0.0, 0.0), ("tanh", 0.0, 0.0)
ORDERS = {"lstm": (0, 2, 3, 1), "gru": (1, 0, 2), "rnn": (0,)}
"""Our gates by ONNX's places."""
ACTIVATIONS = {"lstm": (SIGMOID, TANH, TANH), "gru": (SIGMOID, TANH), "rnn": (TANH,)}


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32) * np.float32(0.5)


def ordered(kind: str, stacked: np.ndarray) -> np.ndarray:
    parts = np.split(stacked, len(ORDERS[kind]))
    return np.concatenate([parts[place] for place in ORDERS[kind]])


def layer(kind: str, reverse: bool, full: bool, linear: bool) -> tuple[Call, list[np.ndarray]]:
    """One layer and what ONNX Runtime gives; `full`: with lengths and what else there is."""
    gates = len(ORDERS[kind])
    x, weight, inner = (
        numbers(STEPS, ROWS, DEPTH),
        numbers(1, gates * HIDDEN, DEPTH),
        numbers(1, gates * HIDDEN, HIDDEN),
    )
    bias, state, cell = numbers(1, 2 * gates * HIDDEN), numbers(1, ROWS, HIDDEN), numbers(1, ROWS, HIDDEN) * 2
    lengths, peepholes = np.array([6, 2, 4], np.int32), numbers(1, 3 * HIDDEN)
    settings = {"hidden_size": HIDDEN, "direction": "reverse" if reverse else "forward"}
    inputs = [x, weight, inner, bias, lengths if full else None, state]
    if kind == "lstm":
        inputs += [cell, *([peepholes] if full else [])]
    if kind == "gru":
        settings["linear_before_reset"] = int(linear)
    right = run_node(kind.upper(), inputs, 3 if kind == "lstm" else 2, opset=14, **settings)
    first, second = (ordered(kind, half) for half in np.split(bias[0], 2))
    rest: list[np.ndarray] = [cell[0]] if kind == "lstm" else []
    if kind == "gru":
        rest.append(second[2 * HIDDEN :].copy())
        second[2 * HIDDEN :] = 0
    rest += [peepholes[0]] if full and kind == "lstm" else []
    rest += [lengths] if full else []
    products = (x @ ordered(kind, weight[0]).T + first + second).astype(np.float32)
    operator = Recurrent(
        kind, HIDDEN, reverse, ACTIVATIONS[kind], linear=linear, peepholes=full and kind == "lstm", lengths=full
    )
    return Call(operator, (products, pack_weights(ordered(kind, inner[0])), state[0], *rest)), right


@functools.cache
def outputs() -> dict[str, tuple[list[np.ndarray], list[np.ndarray]]]:
    """All of them, compiled together."""
    choices = [
        (kind, reverse, full, True)
        for kind, (reverse, full) in itertools.product(ORDERS, ((False, False), (True, True)))
    ]
    choices += [("gru", False, False, False), ("gru", True, True, False)]
    layers = {" ".join(map(str, choice)): layer(*choice) for choice in choices}
    found = run_operators([call for call, _ in layers.values()])
    return {name: (arrays, right) for (name, (_, right)), arrays in zip(layers.items(), found, strict=True)}


def test_layers() -> None:
    for name, (found, right) in outputs().items():
        for array, expected in zip(found, right, strict=True):
            np.testing.assert_allclose(array, expected.reshape(array.shape), atol=2e-6, err_msg=name)
