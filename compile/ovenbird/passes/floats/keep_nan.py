"""Maxima and minima of floats keep NaN, as torch's relu, clamp, max and pooling do.

    module = keep_nan(module)

TVM's `max(a, b)` is `a > b ? a : b`, which gives 0 for `max(NaN, 0)`: a network that went wrong then looks as if it had
an answer. Against a constant the comparison is turned around, `x < 0 ? 0 : x`: one instruction still, `vmaxps` with
the operands in this order. Of two values the first is asked for NaN as well; that costs two instructions more, in
reductions and pools only. CUDA's `max` drops NaN wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm_ffi
from tvm import tirx


@tirx.transform.prim_func_pass(opt_level=0, name="KeepNan")  # type: ignore[untyped-decorator]
def keep_nan(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the function with every maximum and minimum of floats written so that NaN stays."""
    return tvm_ffi.structural_map(function, ((tirx.Max, tirx.Min), keeping))


def keeping(extreme: Any) -> Any:
    """Return a maximum or minimum as selections that keep NaN; one of whole numbers as it is."""
    if not str(extreme.ty.dtype).startswith("float"):
        return extreme
    first, second = extreme.a, extreme.b
    if is_constant(first):
        first, second = second, first

    def beyond(one: Any, other: Any) -> Any:
        return one > other if isinstance(extreme, tirx.Max) else one < other

    if is_constant(second):
        return once(first, lambda x: tirx.Select(beyond(second, x), second, x))

    def of_two(a: Any, b: Any) -> Any:
        # Of all numbers, NaN alone is not at most infinity; `a == a` would be simplified away.
        return tirx.Select(a <= tirx.const(float("inf"), a.ty.dtype), tirx.Select(beyond(a, b), a, b), a)

    return once(first, lambda a: once(second, lambda b: of_two(a, b)))


def is_constant(value: Any) -> bool:
    """Return whether an expression is a number, or one in every lane."""
    return isinstance(value.value if isinstance(value, tirx.Broadcast) else value, tirx.FloatImm)


def once(value: Any, body: Callable[[Any], Any]) -> Any:
    """`body` of a variable that holds `value`: computed once however often it is used."""
    variable = tirx.Var("value", value.ty.dtype)
    return tirx.Let(variable, value, body(variable))
