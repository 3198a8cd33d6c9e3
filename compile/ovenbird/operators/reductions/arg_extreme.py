"""The place of the largest or smallest value, as torch and numpy say it: the first of equals, and the first NaN if any.

TVM's own compares with `>` alone: it gives what follows a NaN, and -1 where all are minus infinity.

Example: `arg_extreme(data, axis=1, keepdims=False, largest=True, dtype="int64")` of [[1, NaN, 3]] is [1].
"""

from __future__ import annotations

import math
from typing import Any

from tvm import te, tirx

from ovenbird.operators.dense import ravel
from ovenbird.operators.layout import extents

MAX_INT32 = (1 << 31) - 1


def arg_extreme(data: te.Tensor, axis: int | None, keepdims: bool, largest: bool, dtype: str) -> te.Tensor:
    """Return the place of the extreme along `axis`; with None, its place in the flattened tensor.

    Places are compared as int32, which vectors hold as many of as of the values, where that suffices.
    """
    shape = extents(data)
    narrow = "int32" if math.prod(shape) <= MAX_INT32 else dtype
    reduced = list(range(len(shape))) if axis is None else [axis % len(shape)]
    axes = {at: te.reduce_axis((0, shape[at]), name=f"k{at}") for at in reduced}
    kept = [1 if at in axes else extent for at, extent in enumerate(shape) if keepdims or at not in axes]
    reducer = te.comm_reducer(
        lambda left, right: nearer(left, right, largest),
        lambda index, value: (tirx.max_value(index), lowest(value, largest)),
        name="arg_extreme",
    )

    def body(*at: Any) -> Any:
        rest = iter(at)
        index = []
        for position in range(len(shape)):
            if position in axes:
                index.append(axes[position].var)
                if keepdims:
                    next(rest)
            else:
                index.append(next(rest))
        place = ravel([axes[at].var for at in reduced], [shape[at] for at in reduced])
        return reducer((tirx.Cast(narrow, place), data[tuple(index)]), axis=list(axes.values()))

    found = te.compute(tuple(kept), body, name="arg_extreme")[0]
    return found if narrow == dtype else te.compute(tuple(kept), lambda *at: tirx.Cast(dtype, found(*at)), name="cast")


def lowest(dtype: str, largest: bool) -> Any:
    """Return what no value is beyond."""
    if dtype.startswith("float"):
        return tirx.const(float("-inf" if largest else "inf"), dtype)
    return tirx.min_value(dtype) if largest else tirx.max_value(dtype)


def nearer(left: tuple[Any, Any], right: tuple[Any, Any], largest: bool) -> tuple[Any, Any]:
    """Return that of two (place, value) which is the answer for both."""
    (i, a), (j, b) = left, right
    beyond = a > b if largest else a < b
    first = i < j
    takes_left = tirx.Or(beyond, tirx.And(tirx.EQ(a, b), first))
    if str(a.ty.dtype).startswith("float"):
        # Of all numbers, NaN alone is not at most infinity; `a == a` would be simplified away.
        infinity = tirx.const(float("inf"), a.ty.dtype)
        no, yes = tirx.const(False, "bool"), tirx.const(True, "bool")
        among_nan = tirx.Select(b <= infinity, yes, first)
        takes_left = tirx.Select(a <= infinity, tirx.Select(b <= infinity, takes_left, no), among_nan)
    return tirx.Select(takes_left, i, j), tirx.Select(takes_left, a, b)
