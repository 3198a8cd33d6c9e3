"""Schedule of softmax and layer norm: parallel over rows, all stages of one row while it is in the cache."""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.operators.anchors import RowStages
from ovenbird.operators.writing.blocks import divisors, extent, fuse_all, is_reduction, leaf_blocks, widest_dtype

PARALLEL_ELEMENTS = 4096
"""Fewer elements than this are not worth waking the other threads."""


def schedule_rows(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a function of `operators.row_ops` and the elementwise maps behind it."""
    blocks = leaf_blocks(sch)
    output = blocks[-1]
    names = [str(sch.get(block).name_hint) for block in blocks]
    kept = {RowStages.POWERS, RowStages.FACTOR}
    for block, name in zip(blocks[:-1], names[:-1], strict=True):
        if not (is_reduction(sch, block) or name in kept or name + RowStages.LANES in names):
            sch.compute_inline(block)
    loops = sch.get_loops(output)
    columns = loops[-1]
    if len(loops) == 1:
        rows = sch.add_unit_loop(output)
        columns = sch.get_loops(output)[-1]
    elif str(sch.get(output).name_hint) == RowStages.MOMENTS:
        rows = loops[0]
        sch.unroll(loops[1])
    else:
        rows = fuse_all(sch, loops[:-1])
    elements = extent(sch, rows) * extent(sch, columns)
    if str(sch.get(output).name_hint) == RowStages.MOMENTS:
        elements *= extent(sch, sch.get_loops(blocks[0])[-1])
    stages = leaf_blocks(sch)[:-1]
    for block in reversed(stages):
        sch.compute_at(block, rows, preserve_unit_loops=True)
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(rows)
    vectorize_row(sch, output, machine)
    # Reductions last: once their start is a block of its own, no loop around it changes any more.
    for block in stages:
        name = str(sch.get(block).name_hint)
        if name.endswith(RowStages.LANES):
            reduce_lanes(sch, block)
        elif name == RowStages.POWERS:
            vectorize_row(sch, block, machine)
        else:
            sch.set_scope(block, 0, "local")


def reduce_lanes(sch: Schedule, block: SBlockRV) -> None:
    """Sum into several vectors side by side: each addition waits for the one before it in its own vector."""
    sch.set_scope(block, 0, "local")
    *_, lane, reduction = sch.get_loops(block)
    sch.reorder(reduction, lane)
    sch.vectorize(lane)
    init = sch.decompose_reduction(block, reduction)
    sch.vectorize(sch.get_loops(init)[-1])


def vectorize_row(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Run the last loop in vectors of the widest kind that divides it, a few at a time.

    Where that is less than half a vector, whole vectors are taken as far as they go, and the rest is left to LLVM.
    """
    column = sch.get_loops(block)[-1]
    length, lanes = extent(sch, column), machine.lanes(widest_dtype(sch, block))
    width = math.gcd(length, lanes)
    if 2 * width < lanes < length:
        width = lanes
        column, _ = sch.loop_partition(column, [length // lanes * lanes, None], preserve_unit_iters=True)
    count = extent(sch, column) // width
    _, unrolled, lane = sch.split(column, [None, max(divisors(count, 4)), width])
    sch.unroll(unrolled)
    sch.vectorize(lane)
