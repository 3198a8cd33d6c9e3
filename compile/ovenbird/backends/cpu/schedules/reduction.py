"""Schedules for reductions that are no matrix product: sums, means and maxima over some axes.

Example: a mean over height and width of a blocked image adds one vector of lanes a pixel, several sums side by side.
"""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.register_tile import schedule_copy, split_axes, unroll_vectorized
from ovenbird.operators.reductions.extreme import register_extremes
from ovenbird.operators.writing.blocks import divisors, extent, find_stages, fuse_all, widest_dtype

PARALLEL_ELEMENTS = 16384
"""Fewer elements to reduce than this are not worth waking the other threads."""

VECTORS = 8
"""Vectors of sums side by side, at most."""


def schedule_lanes(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a reduction over other axes than the lanes: each vector of lanes is summed in registers.

    An axis before the lanes that the reduction keeps (`sums`) holds sums side by side, for one alone would wait for
    each addition to end before the next.
    """
    stages = find_stages(sch)
    for block in stages.before:
        schedule_copy(sch, block, machine)
    anchor, output = stages.anchor, stages.output
    loops = sch.get_loops(output)
    spatial, reduction = split_axes(sch, anchor)
    elements = math.prod(extent(sch, loop) for loop in (*spatial, *reduction))
    if sch.get(anchor).name_hint == sch.get(output).name_hint:
        output = sch.cache_write(anchor, 0, "local")
        loops = sch.get_loops(output)
    outer = fuse_all(sch, loops[:-1])
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
    sch.compute_at(anchor, outer, preserve_unit_loops=True)
    sch.set_scope(anchor, 0, "local")
    sch.vectorize(loops[-1])
    tile = sch.get_loops(anchor)[1:]
    spatial, reduction = tile[: len(spatial)], tile[len(spatial) :]
    sch.reorder(*reduction, *spatial)
    unroll_vectorized(sch, *spatial)
    init = sch.decompose_reduction(anchor, reduction[0])
    unroll_vectorized(sch, *sch.get_loops(init)[1:])


def schedule_reduction(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Schedule a reduction without a rule of its own: vectors along the contiguous axis, the outer axes parallel."""
    spatial, reduction = split_axes(sch, block)
    if not spatial or not reduction:
        return
    sch.reorder(*spatial, *reduction)
    elements = math.prod(extent(sch, loop) for loop in (*spatial, *reduction))
    lanes = machine.lanes(widest_dtype(sch, block))
    if reduces_contiguous_axis(sch, block):
        vectors = math.prod(extent(sch, loop) for loop in reduction) // lanes
        whole = extent(sch, reduction[-1]) % lanes == 0
        if whole and vectors > 1 and len(sch.get(block).writes) == 1:  # a single vector has nothing to add up
            schedule_contiguous_reduction(sch, block, lanes, elements)
            return
    elif (count := axes_of_vectors(sch, block, spatial, lanes)) > 0:
        schedule_vectors(sch, block, count, lanes, elements)
        return
    outer = fuse_all(sch, spatial)
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)


def axes_of_vectors(sch: Schedule, block: SBlockRV, spatial: list[LoopRV], lanes: int) -> int:
    """Return how many of the last axes together hold whole vectors that lie side by side in what is read; 0: none."""
    body, count, columns = sch.get(block), 0, 1
    axes = [var.var for var in body.iter_vars if int(var.iter_type) == 0]
    reads = [region for region in body.reads if len(region.region) >= len(axes)] or list(body.reads)
    for loop, axis in zip(reversed(spatial), reversed(axes), strict=True):
        count, columns = count + 1, columns * extent(sch, loop)
        if columns % lanes == 0:
            return count
        starts = [region.region[-count].min for region in reads if len(region.region) >= count]
        whole = [int(region.source.shape[-count]) for region in reads if len(region.region) >= count]
        if not all(at.same_as(axis) for at in starts) or any(size != extent(sch, loop) for size in whole):
            return 0
    return 0


def schedule_vectors(sch: Schedule, block: SBlockRV, count: int, lanes: int, elements: int) -> None:
    """Several vectors of the last `count` axes side by side, each step of the reduction for all of them: it reads
    neighbouring lines of memory, and their sums wait for nothing.
    """
    spatial, reduction = split_axes(sch, block)
    columns = fuse_all(sch, spatial[len(spatial) - count :])
    most = VECTORS if len(sch.get(block).writes) == 1 else 1
    vectors = max(divisors(extent(sch, columns) // lanes, most))
    strips, vector, lane = sch.split(columns, [None, vectors, lanes])
    outer = fuse_all(sch, [*spatial[: len(spatial) - count], strips])
    sch.reorder(outer, *reduction, vector, lane)
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
    unroll_vectorized(sch, vector, lane)
    init = sch.decompose_reduction(block, reduction[0])
    unroll_vectorized(sch, *sch.get_loops(init)[-2:])


def reduces_contiguous_axis(sch: Schedule, block: SBlockRV) -> bool:
    """Return True if the last axis of what the block reads is one that it reduces."""
    body = sch.get(block)
    reduced = [var.var for var in body.iter_vars if int(var.iter_type) != 0]
    last = body.reads[0].region[-1].min if body.reads and len(body.reads[0].region) else None
    return any(last is not None and last.same_as(var) for var in reduced)


def schedule_contiguous_reduction(sch: Schedule, block: SBlockRV, lanes: int, elements: int) -> None:
    """Each output from a vector of partial results, which are combined at the end."""
    register_extremes()
    _, reduction = split_axes(sch, block)
    _, lane = sch.split(reduction[-1], [None, lanes])
    partial = sch.rfactor(lane, factor_axis=len(sch.get(block).writes[0].region))
    outer = fuse_all(sch, sch.get_loops(block)[:-1])
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
    sch.compute_at(partial, outer)
    lane, *steps = sch.get_loops(partial)[1:]
    sch.reorder(*steps, lane)
    sch.vectorize(lane)
    init = sch.decompose_reduction(partial, steps[0])
    sch.vectorize(sch.get_loops(init)[-1])
