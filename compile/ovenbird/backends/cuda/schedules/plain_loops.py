"""Kernels written as plain loops, for a GPU: each step of an outer parallel loop is a thread's.

Example: `bind_loops(function)` of a sort gives a thread to every row. Loops around a parallel one, as over the steps
of a recurrent layer, stay on the processor, which launches the kernel again for each step.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range

from ovenbird.operators.writing.loops import WORK
from ovenbird.passes.kernels.expressions import substitute

THREADS = 128


def bind_loops(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Return the function with its parallel loops bound to blocks and threads, and no loop in vectors."""

    def visit(loop: tirx.For) -> Any:
        if WORK in loop.annotations:
            return bound(loop)
        if loop.kind in (tirx.ForKind.VECTORIZED, tirx.ForKind.UNROLLED):
            return tirx.For(loop.loop_var, loop.min, loop.extent, tirx.ForKind.SERIAL, loop.body)
        return loop

    return tvm_ffi.structural_map(function, (tirx.For, visit))


def has_parallel_loops(function: tirx.PrimFunc) -> bool:
    """Return True if a kernel of plain loops says which of them are independent."""
    found: list[bool] = []
    tvm_ffi.structural_walk(function.body, (tirx.For, lambda loop: found.append(WORK in loop.annotations)))
    return any(found)


def bound(loop: tirx.For) -> tirx.For:
    """Return the loop over blocks, over threads, and for each the body."""
    steps = loop.extent
    threads = min(THREADS, int(steps))
    blocks = -(-int(steps) // threads)
    block, thread = tirx.Var("block", "int32"), tirx.Var("thread", "int32")
    step = block * threads + thread
    body = substitute(loop.body, {loop.loop_var: step})
    if int(steps) % threads:
        body = tirx.IfThenElse(step < steps, body, None)
    inner = thread_loop(thread, threads, "threadIdx.x", body)
    return thread_loop(block, blocks, "blockIdx.x", inner)


def thread_loop(var: tirx.Var, extent: int, tag: str, body: Any) -> tirx.For:
    """Return a loop whose steps are the threads of a grid's axis."""
    axis = tirx.IterVar(Range(0, extent), tirx.Var(tag, "int32"), tirx.IterVar.ThreadIndex, tag)
    return tirx.For(var, 0, extent, tirx.ForKind.THREAD_BINDING, body, axis)
