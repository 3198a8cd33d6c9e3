"""Schedules for reductions that are no matrix product: sums, means and maxima over some axes.

Example: a mean over height and width of a blocked image adds one vector of lanes a pixel, several sums side by side.
"""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.schedules.blocks import extent, find_stages, fuse_all
from ovenbird.schedules.choices import Choices
from ovenbird.schedules.machine import Machine
from ovenbird.schedules.register_tile import schedule_copy, split_axes, unroll_vectorized

#: Fewer elements to reduce than this are not worth waking the other threads.
PARALLEL_ELEMENTS = 16384


def schedule_lanes(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """A reduction over other axes than the lanes: each vector of lanes is summed in registers.

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
    """A reduction without a schedule of its own: parallel over its spatial axes."""
    spatial, reduction = split_axes(sch, block)
    if not spatial or not reduction:
        return
    sch.reorder(*spatial, *reduction)
    elements = math.prod(extent(sch, loop) for loop in (*spatial, *reduction))
    outer = fuse_all(sch, spatial)
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
