"""One thread an output: elementwise functions, and reductions short enough for a thread to do alone.

Example: a depthwise convolution with its epilogue: neighbouring threads take neighbouring channels.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.operators.writing.blocks import extent, fuse_all, is_reduction

THREADS = 256


def inline_around(sch: Schedule, keep: list[SBlockRV], blocks: list[SBlockRV]) -> None:
    """Inline every block but those to keep into what reads it."""
    kept = {sch.get(block).name_hint for block in keep}
    for block in blocks:
        if sch.get(block).name_hint not in kept:
            sch.compute_inline(block)


def bind_threads(sch: Schedule, block: SBlockRV, threads: int = THREADS) -> LoopRV:
    """Bind each element of an elementwise block to a thread of its own; return the thread's loop."""
    loops = [
        loop
        for loop, variable in zip(sch.get_loops(block), sch.get(block).iter_vars, strict=True)
        if variable.iter_type == variable.DataPar
    ]
    fused = fuse_all(sch, loops)
    outer, inner = sch.split(fused, [None, min(threads, max(32, extent(sch, fused)))])
    sch.bind(outer, "blockIdx.x")
    sch.bind(inner, "threadIdx.x")
    return inner


def schedule_threads(sch: Schedule, output: SBlockRV, threads: int = THREADS) -> None:
    """Schedule a function whose blocks but `output` are inlined, or are reductions that one thread does for it."""
    root = sch.get_sblock("root")
    blocks = sch.get_child_blocks(root)
    name = sch.get(output).name_hint
    reductions = [b for b in blocks if is_reduction(sch, b) and sch.get(b).name_hint != name]
    inline_around(sch, [*reductions, output], blocks)
    inner = bind_threads(sch, output, threads)
    for reduction in reversed(reductions):
        sch.compute_at(reduction, inner, preserve_unit_loops=True)
        sch.set_scope(reduction, 0, "local")
