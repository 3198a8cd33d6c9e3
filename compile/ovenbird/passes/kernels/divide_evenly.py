"""Divides the iterations of a parallel loop among tasks so that none has more than one more than another.

    module = divide_evenly(module)        # lowered functions, before code is generated

TVM gives each of T tasks ceil(n / T) iterations: of 14 by 8 tasks seven get two and one gets nothing, and the first of
two threads has eight where seven would do. Here the loop runs over 64 slots, slot v of which has the iterations from
n * v // 64 to n * (v + 1) // 64: whatever T divides 64 gets shares that differ by one at most, side by side.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx

SLOTS = 64
"""Tasks that are powers of two divide them; C++'s pool has four for each thread."""

MANY = 1024
"""Of so many iterations the shares that TVM makes differ by little."""


def start(slot: Any, count: int) -> Any:
    """Return the first of `count` iterations that a slot has, and the end of the one before it."""
    return slot * count // SLOTS


@tirx.transform.prim_func_pass(opt_level=0, name="DivideEvenly")  # type: ignore[untyped-decorator]
def divide_evenly(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the function with its parallel loops, which a processor's kernels alone have, divided evenly."""

    def visit(loop: tirx.For) -> Any:
        if loop.kind != tirx.ForKind.PARALLEL or not isinstance(loop.extent, tirx.IntImm):
            return loop
        count = int(loop.extent)
        if not 2 < count < MANY or SLOTS % count == 0 or count % SLOTS == 0:
            return loop
        dtype = loop.loop_var.ty.dtype
        slot = tirx.Var("slot", dtype)
        first, end = start(slot, count), start(slot + tirx.const(1, dtype), count)
        inner = tirx.For(loop.loop_var, loop.min + first, end - first, tirx.ForKind.SERIAL, loop.body)
        return tirx.For(
            slot, tirx.const(0, dtype), tirx.const(SLOTS, dtype), loop.kind, inner, annotations=loop.annotations
        )

    return tvm_ffi.structural_map(function, (tirx.For, visit))
