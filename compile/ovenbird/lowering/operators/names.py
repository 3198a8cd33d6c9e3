"""Relax's operators by group, as both tables of handlers name them."""

from __future__ import annotations

UNARY = tuple(
    f"relax.{name}"
    for name in [
        "nn.relu",
        "nn.relu6",
        "nn.silu",
        "nn.gelu",
        "nn.gelu_tanh",
        "nn.leakyrelu",
        "nn.softplus",
        "nn.selu",
        "sigmoid",
        "tanh",
        "clip",
        "exp",
        "abs",
        "negative",
        "erf",
        "sqrt",
        "square",
        "floor",
        "ceil",
        "round",
        "sin",
        "cos",
    ]
)
"""Elementwise maps that give a finite value for the zeros in a blocked image's padding lanes."""

BINARY = tuple(f"relax.{name}" for name in ["add", "subtract", "multiply", "maximum", "minimum", "divide"])
"""Elementwise maps of two values."""

SHAPERS = (
    "relax.reshape",
    "relax.expand_dims",
    "relax.squeeze",
    "relax.flatten",
    "relax.broadcast_to",
    "relax.permute_dims",
)
"""Operators that may keep the elements in their order."""

MOVERS = ("relax.concat", "relax.nn.max_pool2d", "relax.split", "relax.strided_slice", "relax.take")
"""Operators whose outputs are elements of their inputs, or the largest of some."""
