"""Schedules for reductions that are no matrix product: sums, means and maxima over some axes.

Example: a mean over height and width of a blocked image adds one vector of lanes a pixel, several sums side by side.
"""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.register_tile import schedule_copy, split_axes, unroll_vectorized
from ovenbird.operators.blocks import extent, find_stages, fuse_all, widest_dtype
from ovenbird.operators.reductions.extreme import register_extremes

PARALLEL_ELEMENTS = 16384
"""Fewer elements to reduce than this are not worth waking the other threads."""


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
    elif extent(sch, spatial[-1]) % lanes == 0:
        outer_columns, lane = sch.split(spatial[-1], [None, lanes])
        outer = fuse_all(sch, [*spatial[:-1], outer_columns])
        sch.reorder(outer, *reduction, lane)
        if elements >= PARALLEL_ELEMENTS:
            sch.parallel(outer)
        sch.vectorize(lane)
        init = sch.decompose_reduction(block, reduction[0])
        sch.vectorize(sch.get_loops(init)[-1])
        return
    outer = fuse_all(sch, spatial)
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)


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
