"""Kernels written as plain loops: their parallel loops stay so where the work is worth waking the other threads.

Example: a running sum over [3, 40] is one thread's; over [256, 6400] the threads share the rows.
"""

from __future__ import annotations

import tvm_ffi
from tvm import tirx

from ovenbird.operators.writing.loops import WORK

PARALLEL_ELEMENTS = 16384
"""Fewer elements than this are not worth waking the other threads: a launch costs 0.7 microseconds."""


def weigh_loops(function: tirx.PrimFunc) -> tirx.PrimFunc:
    """Return the function with its small parallel loops serial."""

    def visit(loop: tirx.For) -> tirx.For:
        if WORK not in loop.annotations:
            return loop
        small = int(loop.annotations[WORK]) < PARALLEL_ELEMENTS
        kind = tirx.ForKind.SERIAL if small else loop.kind
        return tirx.For(loop.loop_var, loop.min, loop.extent, kind, loop.body)

    return tvm_ffi.structural_map(function, (tirx.For, visit))
