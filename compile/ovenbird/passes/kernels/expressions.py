"""Expressions of kernels: which variables they use, and the same with others in their place.

Example: `substitute(index, {loop.loop_var: 0})`.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx


def substitute(expression: Any, values: dict[Any, Any]) -> Any:
    """Return the expression with variables replaced."""

    def visit(var: tirx.Var) -> Any:
        for known, value in values.items():
            if known.same_as(var):
                return tirx.const(value, str(var.ty.dtype)) if isinstance(value, int) else value
        return var

    return tvm_ffi.structural_map(expression, (tirx.Var, visit))


def uses(expression: Any, var: tirx.Var) -> bool:
    """Return True if `var` occurs in the expression."""
    found: list[bool] = []
    tvm_ffi.structural_walk(expression, (tirx.Var, lambda other: found.append(other.same_as(var))))
    return any(found)
