"""What a Relax function calls.

calls_of(module["main"], "relax.nn.conv2d")        # the calls, in order
made_by(module["main"], call.args[0])              # the call that a variable is bound to
"""

from __future__ import annotations

from typing import Any

from tvm import relax


def bindings_of(function: Any) -> dict[Any, Any]:
    """Return what each variable is bound to."""
    return {binding.var: binding.value for block in function.body.blocks for binding in block.bindings}


def calls_of(function: Any, *names: str) -> list[Any]:
    """Return the calls of these operators."""
    return [
        value
        for value in bindings_of(function).values()
        if isinstance(value, relax.Call) and getattr(value.op, "name", "") in names
    ]


def made_by(function: Any, expr: Any) -> Any:
    """Return what an expression is bound to, through other names."""
    bound = bindings_of(function)
    while isinstance(expr, relax.Var) and expr in bound:
        expr = bound[expr]
    return expr
