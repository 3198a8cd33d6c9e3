"""What the kernels of plain loops share: their parallel loop, comparisons of numbers that may be NaN, safe places.

for row in spread(rows, work=rows * columns):       # in a `T.prim_func`: by threads, where the work is worth it
    order[row] = inside(index[row], columns)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import tirx
from tvm.script import tirx as T
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as builder

WORK = "ovenbird.work"
"""The annotation of a parallel loop: about how many elements it handles in all."""

CHUNK = 256
"""Elements of one step of a loop that copies or fills."""


def spread(steps: Any, work: int) -> Any:
    """Return a parallel loop of so many independent steps; `work`: the elements it handles, to weigh threads by."""
    return T.parallel(steps, annotations={WORK: work})


def is_float(dtype: str) -> bool:
    """Return True for dtypes that can hold a NaN."""
    return "float" in dtype


def is_nan(value: Any) -> Any:
    """Return whether a float is NaN."""
    return tirx.isnan(value)


def goes_before(left: Any, right: Any, dtype: str, descending: bool) -> Any:
    """Return whether `left` comes before an unequal `right`; NaN counts as greater than any number, as in torch."""
    if dtype == "bool":
        left, right = tirx.Cast("int8", left), tirx.Cast("int8", right)
    if not is_float(dtype):
        return left > right if descending else left < right
    if descending:
        return tirx.any(left > right, tirx.all(is_nan(left), tirx.Not(is_nan(right))))
    return tirx.any(left < right, tirx.all(is_nan(right), tirx.Not(is_nan(left))))


def follows(left: Any, right: Any, dtype: str, descending: bool) -> Any:
    """Return whether `left` does not come before `right`; written out, as TVM takes not (a < b) for a >= b of NaN."""
    if not is_float(dtype):
        return tirx.Not(goes_before(left, right, dtype, descending))
    if descending:
        return tirx.any(is_nan(right), tirx.all(tirx.Not(is_nan(left)), left <= right))
    return tirx.any(is_nan(left), tirx.all(tirx.Not(is_nan(right)), left >= right))


def inside(index: Any, extent: int) -> Any:
    """Return an index of any value brought into range: negative ones count from the end, others end at the edges."""
    if str(index.ty.dtype) not in ("int32", "int64"):  # 300 rows are more than an int8 can say
        index = tirx.Cast("int64", index)
    dtype = str(index.ty.dtype)
    counted = tirx.Select(index < tirx.const(0, dtype), index + tirx.const(extent, dtype), index)
    return tirx.Cast("int32", tirx.max(tirx.min(counted, tirx.const(extent - 1, dtype)), tirx.const(0, dtype)))


def held(place: Any, extent: int) -> Any:
    """Return a place that is known to be right, in words by which the compiler knows it too: no test around a store."""
    return tirx.max(tirx.min(place, extent - 1), 0)


def clamped(value: Any, low: float, high: float) -> Any:
    """Return a float within two bounds, the lower one for NaN: what may be cast to a whole number after that."""
    dtype = str(value.ty.dtype)
    lowest, highest = tirx.const(low, dtype), tirx.const(high, dtype)
    raised = tirx.Select(value > lowest, value, lowest)
    return tirx.Select(raised < highest, raised, highest)


def hold(value: Any) -> Any:
    """Store a value in a register of the kernel that is being written, and return what reads it.

    Not a `let`: TVM's simplifier writes out what a `let` stands for wherever it is used, in each that uses it again.
    """
    register = T.alloc_buffer((1,), str(value.ty.dtype), scope="local")
    builder.buffer_store(register, value, [0])
    return register[0]


def write_kernel(name: str, buffers: Sequence[tuple[Sequence[int], str]], body: Callable[..., None]) -> tirx.PrimFunc:
    """Return the function over buffers of these shapes and dtypes whose statements `body` writes, given the buffers."""
    with IRBuilder() as writer, builder.prim_func():
        builder.func_name(name)
        body(*(builder.arg(f"t{index}", builder.buffer(*spec)) for index, spec in enumerate(buffers)))
    return writer.get()


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return how many elements lie between neighbours along each axis of a dense tensor."""
    found = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        found[axis] = found[axis + 1] * shape[axis + 1]
    return tuple(found)


def unravel(index: Any, shape: Sequence[int]) -> list[Any]:
    """Return the place along each axis of the element with that number."""
    places: list[Any] = []
    for extent in reversed(shape):
        places.append(index % extent)
        index = index // extent
    return places[::-1]
