"""Floats are not simplified as if they were exact numbers, which TVM does before it generates code.

    module = keep_rounding(module)

TVM makes `x` of `(x + c) - c`, 0 of `x - x` and of `x * 0`, `y <= x` of `not x < y`, true of `x == x`: right for whole
numbers, wrong for floats that round, are infinite, or are no number. Where an operand could meet itself it is hidden
behind a change of type and back, which costs nothing: the processor's compiler knows what it is, and keeps floats.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad

ORDERS = (tirx.EQ, tirx.NE, tirx.LT, tirx.LE, tirx.GT, tirx.GE)
SUMS = (tirx.Add, tirx.Sub)
BITS = {"float16": "int16", "float32": "int32", "float64": "int64"}
"""Whole numbers of the same size."""


@tirx.transform.prim_func_pass(opt_level=0, name="KeepRounding")  # type: ignore[untyped-decorator]
def keep_rounding(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the function with its arithmetic and its comparisons of floats kept as they are written."""
    target = function.attrs.get("target")
    if target is not None and target.kind.name != "llvm":
        return function
    return tvm_ffi.structural_map(
        function, [(SUMS, summed), ((tirx.Mul, tirx.Div), scaled), (ORDERS, ordered), (tirx.Not, denied)]
    )


def hidden(value: Any) -> Any:
    """Return a value as what nothing is known of."""
    dtype = str(value.ty.dtype)
    return tirx.reinterpret(dtype, tirx.reinterpret(BITS[dtype], value))


def summed(node: Any) -> Any:
    """Keep a sum or a difference whose sides have something in common."""
    if not is_float(node) or not common(node.a, node.b):
        return node
    return type(node)(node.a, hidden(node.b))


def scaled(node: Any) -> Any:
    """Keep a product with 0, and 0 divided."""
    for side in ("a", "b") if isinstance(node, tirx.Mul) else ("a",):
        value = getattr(node, side)
        if isinstance(value, tirx.FloatImm) and value.value == 0 and is_float(node):
            sides = {"a": node.a, "b": node.b, side: hidden(value)}
            return type(node)(sides["a"], sides["b"])
    return node


def ordered(node: Any) -> Any:
    """Keep a comparison; what is no number differs from all."""
    if not is_float(node.a):
        return node
    if isinstance(node, tirx.NE):
        return reversed_truth(tirx.EQ(hidden(node.a), node.b))
    return type(node)(hidden(node.a), node.b)


def denied(node: Any) -> Any:
    """Keep the opposite of what compares floats: where one is no number, neither `x < y` nor `y <= x`."""
    found: list[Any] = []
    tvm_ffi.structural_walk(node.a, (ORDERS, lambda order: found.append(order) if is_float(order.a) else None))
    return reversed_truth(node.a) if found else node


def reversed_truth(value: Any) -> Any:
    """Return the opposite, which TVM does not look into."""
    return tirx.Select(value, tirx.const(False, "bool"), tirx.const(True, "bool"))


def is_float(value: Any) -> bool:
    """Return whether an expression is a float."""
    return str(value.ty.dtype) in BITS


def common(one: Any, other: Any) -> bool:
    """Return whether two expressions have a load or a number that is added in common.

    Numbers that multiply do not count: `4 * x - 4 * y` may well become `4 * (x - y)`, in Winograd's transforms.
    """
    parts = leaves(other)
    return any(tvm_ffi.structural_equal(part, known) for part in leaves(one) for known in parts)


def leaves(value: Any) -> list[Any]:
    """Return the loads in an expression, and the numbers among its summands."""
    found: list[Any] = []
    tvm_ffi.structural_walk(value, (TensorLoad, found.append))
    return found + numbers(value)


def numbers(value: Any) -> list[Any]:
    """Return the numbers among the summands of an expression."""
    if isinstance(value, SUMS):
        return numbers(value.a) + numbers(value.b)
    return [value] if isinstance(value, tirx.FloatImm) else []
