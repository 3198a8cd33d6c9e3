"""Schedules for what memory bounds: elementwise maps, copies, reductions over a few axes, depthwise windows."""

from __future__ import annotations

import math

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.schedules.blocks import (
    divisors,
    extent,
    find_stages,
    fuse_all,
    is_reduction,
    leaf_blocks,
)
from ovenbird.schedules.choices import Choices
from ovenbird.schedules.machine import Machine
from ovenbird.schedules.register_tile import schedule_copy, split_axes, unroll_vectorized

#: Fewer output elements than this are not worth waking the other threads (a launch costs a few microseconds).
PARALLEL_ELEMENTS = 4096


def schedule_map(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """One elementwise or copying block: all axes fused, vectors inside, the rest parallel."""
    loops = sch.get_loops(block)
    if not loops:
        return
    fused = fuse_all(sch, loops)
    elements = extent(sch, fused)
    width = math.gcd(elements, machine.lanes)
    if elements >= PARALLEL_ELEMENTS:
        strip = width * max(d for d in divisors(elements // width, 8))
        outer, inner = sch.split(fused, [None, strip])
        sch.parallel(outer)
        if strip > width:
            unrolled, inner = sch.split(inner, [None, width])
            sch.unroll(unrolled)
        sch.vectorize(inner)
    else:
        _, inner = sch.split(fused, [None, width])
        sch.vectorize(inner)


def schedule_lanes(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """A reduction over other axes than the lanes: each vector of lanes is summed in registers."""
    stages = find_stages(sch)
    for block in stages.before:
        schedule_copy(sch, block, machine)
    anchor = stages.anchor
    spatial, reduction = split_axes(sch, anchor)
    outer = fuse_all(sch, spatial[:-1])
    sch.reorder(outer, *reduction, spatial[-1])
    sch.parallel(outer)
    sch.vectorize(spatial[-1])
    init = sch.decompose_reduction(anchor, reduction[0])
    sch.vectorize(sch.get_loops(init)[-1])
    if sch.get(stages.output).name_hint != sch.get(anchor).name_hint:
        schedule_map(sch, stages.output, machine)


def schedule_depthwise(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """A window over each channel by itself: accumulators for a strip of a row stay in registers.

    Padding is copied a band of rows at a time, into a buffer that stays in the first-level cache.
    """
    stages = find_stages(sch)
    anchor, output = stages.anchor, stages.output
    if sch.get(anchor).name_hint == sch.get(output).name_hint:
        output = sch.cache_write(anchor, 0, "local")
    n, c, h, w, lane = sch.get_loops(output)
    width, height = extent(sch, w), extent(sch, h)
    strip = max(divisors(width, 8))
    if strip < 4 and width > 8:
        strip = 8
    band = max(d for d in divisors(height, 16))
    band_factors = choices.tiles(sch, h, [band], innermost=height)
    strip_factors = choices.tiles(sch, w, [strip], innermost=machine.registers - 4)
    bands, row = sch.split(h, band_factors)
    strips, position = sch.split(w, strip_factors)
    sch.reorder(n, c, bands, row, strips, position, lane)
    parallel = sch.fuse(n, c, bands)
    sch.parallel(parallel)
    sch.compute_at(anchor, strips, preserve_unit_loops=True)
    for block in reversed(stages.before):
        sch.compute_at(block, parallel, preserve_unit_loops=True)
        sch.vectorize(sch.get_loops(block)[-1])
    sch.set_scope(anchor, 0, "local")
    loops = sch.get_loops(anchor)[-7:]
    tile, reduction = loops[:5], loops[5:]
    sch.reorder(*reduction, *tile)
    unroll_vectorized(sch, *reduction[1:], *tile)
    init = sch.decompose_reduction(anchor, reduction[0])
    unroll_vectorized(sch, *sch.get_loops(init)[-5:])
    sch.unroll(position)
    sch.vectorize(lane)


def schedule_generic(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Any function without an anchor: elementwise blocks inlined, each remaining block parallel over its outer axes."""
    blocks = leaf_blocks(sch)
    for block in blocks[:-1]:
        if not is_reduction(sch, block):
            try:
                sch.compute_inline(block)
            except Exception:  # noqa: BLE001 - not inlinable (several writers, a reduction's consumer): stays a stage
                continue
    for block in leaf_blocks(sch):
        if is_reduction(sch, block):
            schedule_reduction(sch, block, machine)
        else:
            schedule_map(sch, block, machine)


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
