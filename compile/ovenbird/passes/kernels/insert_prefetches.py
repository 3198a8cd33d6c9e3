"""Prefetching of weights: asks the memory for what a reduction loop will read some steps from now.

Weights are read once per inference, in the order in which they lie in memory; the hardware's prefetchers stop at each
4 KiB page, and the loop then waits for the memory. A schedule annotates its innermost reduction loop; this pass, run on
the scheduled function, puts the instructions there.

Example: `sch.annotate(loop, PREFETCH, 64)`, then `insert_prefetches(sch.mod)`.
"""

from __future__ import annotations

from typing import Any

import tvm
import tvm_ffi
from tvm import tirx

from ovenbird.passes.kernels.annotations import DOT
from ovenbird.passes.kernels.expressions import substitute, uses

PREFETCH = "ovenbird.prefetch"
"""The annotation of a loop; its value is the distance in steps of that loop."""

PREFETCH_STEPS = 64
"""Steps ahead: 64 vectors are a page of 4 KiB, some 500 cycles at the pace of a full register tile."""

READ, ALL_CACHE_LEVELS, DATA = 0, 3, 1


@tirx.transform.prim_func_pass(opt_level=0, name="InsertPrefetches")  # type: ignore[untyped-decorator]
def insert_prefetches(function: tirx.PrimFunc, _module: Any, _context: Any) -> tirx.PrimFunc:
    """Return the scheduled function with a prefetch for each stream of parameters in each annotated loop."""
    parameters = list(function.params)

    def visit(loop: tirx.For) -> tirx.For:
        if PREFETCH not in loop.annotations:
            return loop
        distance = int(loop.annotations[PREFETCH])
        found = prefetches(loop, distance, parameters)  # none where parameters are read through a change of shape
        body = tirx.SeqStmt([*found, loop.body]) if found else loop.body
        return tirx.For(loop.loop_var, loop.min, loop.extent, loop.kind, body)

    return tvm_ffi.structural_map(function, (tirx.For, visit))


def prefetches(loop: tirx.For, distance: int, parameters: list[Any]) -> list[tirx.Stmt]:
    """Return one statement for each stream: each parameter that is read as vectors, for each
    value of the unrolled loops.
    """
    body, inner = loop.body, []
    while isinstance(body, tirx.For):
        inner.append(body)
        body = body.body
    block = body.block
    bound = {axis.var: value for axis, value in zip(block.iter_vars, body.iter_values, strict=True)}
    place = next((place for place, one in enumerate(inner) if DOT in one.annotations), len(inner) - 1)
    lane, taps = inner[place].loop_var, inner[place + 1 :]
    loads: list[Any] = []
    tvm_ffi.structural_walk(block.body, (tvm.ir.TensorLoad, loads.append))
    statements: list[tirx.Stmt] = []
    for load in loads:
        if not any(load.source.same_as(parameter) for parameter in parameters):
            continue
        indices = [substitute(index, bound) for index in load.indices]
        if not (uses(indices[-1], lane) if taps else indices[-1].same_as(lane)):
            continue
        ahead = {lane: 0, loop.loop_var: loop.loop_var + distance, **{tap.loop_var: 0 for tap in taps}}
        streams = [ahead]
        for other in inner[:place]:
            if any(uses(index, other.loop_var) for index in indices):
                streams = [{**s, other.loop_var: step} for s in streams for step in range(int(other.extent))]
        for stream in streams:
            address = tirx.address_of(load.source[tuple(substitute(index, stream) for index in indices)])
            call = tirx.call_llvm_intrin("void", "llvm.prefetch.p0", address, READ, ALL_CACHE_LEVELS, DATA)
            statements.append(tirx.Evaluate(call))
    return statements
