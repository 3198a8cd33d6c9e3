"""The activations that recurrent layers name, as ONNX defines them.

Example: `activate(("tanh", 0.0, 0.0), x)`.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx

Activation = tuple[str, float, float]
"""A name in small letters, and its alpha and beta."""


def number(value: float) -> Any:
    """Return a float32 constant."""
    return tirx.const(value, "float32")


def activate(activation: Activation, x: Any) -> Any:
    """Return the activation of a float32 expression."""
    name, alpha, beta = activation[0], number(activation[1]), number(activation[2])
    zero, one = number(0.0), number(1.0)
    return {
        "sigmoid": lambda: one / (one + tirx.exp(zero - x)),
        "tanh": lambda: tirx.tanh(x),
        "relu": lambda: tirx.Select(x < zero, zero, x),
        "affine": lambda: alpha * x + beta,
        "leakyrelu": lambda: tirx.Select(x < zero, alpha * x, x),
        "thresholdedrelu": lambda: tirx.Select(x > alpha, x, zero),
        "scaledtanh": lambda: alpha * tirx.tanh(beta * x),
        "hardsigmoid": lambda: tirx.max(tirx.min(alpha * x + beta, one), zero),
        "elu": lambda: tirx.Select(x < zero, alpha * (tirx.exp(x) - one), x),
        "softsign": lambda: x / (one + tirx.abs(x)),
        "softplus": lambda: tirx.max(x, zero) + tirx.log(one + tirx.exp(zero - tirx.abs(x))),
    }[name]()


DEFAULTS: dict[str, tuple[float, float]] = {
    "affine": (1.0, 0.0),
    "leakyrelu": (0.01, 0.0),
    "thresholdedrelu": (1.0, 0.0),
    "scaledtanh": (1.0, 1.0),
    "hardsigmoid": (0.2, 0.5),
    "elu": (1.0, 0.0),
}
"""Alpha and beta where a network gives none."""

KNOWN = ("sigmoid", "tanh", "relu", *DEFAULTS, "softsign", "softplus")
