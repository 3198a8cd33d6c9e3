"""The largest or smallest value along axes; of nothing but minus infinity it is minus infinity.

TVM's own starts from the lowest finite number and never gives less: a row of scores that is masked everywhere looks
as if it had one.

Example: `extreme(data, axes=[1], keepdims=False, largest=True)` of [[-inf, -inf]] is [-inf].
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any

import tvm_ffi
from tvm import te, tirx

from ovenbird.operators.layout import extents
from ovenbird.operators.reductions.arg_extreme import lowest


def extreme(data: te.Tensor, axes: Sequence[int], keepdims: bool, largest: bool) -> te.Tensor:
    """Return the extreme along the axes."""
    shape = extents(data)
    reduced = {axis: te.reduce_axis((0, shape[axis]), name=f"k{axis}") for axis in axes}
    kept = [1 if axis in reduced else extent for axis, extent in enumerate(shape) if keepdims or axis not in reduced]
    reducer = te.comm_reducer(
        lambda a, b: tirx.max(a, b) if largest else tirx.min(a, b), lambda dtype: lowest(dtype, largest), name="extreme"
    )

    def body(*at: Any) -> Any:
        rest = iter(at)
        index = []
        for axis in range(len(shape)):
            place = next(rest) if keepdims or axis not in reduced else None
            index.append(reduced.get(axis, place))
        return reducer(data[tuple(index)], axis=list(reduced.values()))

    return te.compute(tuple(kept), body, name="extreme")


@functools.cache
def register_extremes() -> None:
    """Let TVM's `rfactor` split these reductions: it knows only those that start at the widest finite number.

    TVM frees what it knows after Python has ended, which crashes; so the functions are never freed.
    """
    register = tvm_ffi.get_global_func("s_tir.schedule.RegisterReducer")
    for largest, combine in ((True, tirx.max), (False, tirx.min)):
        functions = [
            tvm_ffi.convert(lambda x, y, combine=combine: [combine(x[0], y[0])]),
            tvm_ffi.convert(lambda values, largest=largest: [lowest(str(values[0].ty.dtype), largest)]),
        ]
        for function in functions:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(function))
        register(1, *functions)
