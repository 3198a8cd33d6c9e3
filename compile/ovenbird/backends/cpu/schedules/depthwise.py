"""Schedule for windows over each channel by itself: depthwise convolution and pooling in the blocked layout.

Example: 3x3 depthwise on [1, 9, 56, 56, 16]: bands of rows in parallel, strips of a row as accumulators in registers.
"""

from __future__ import annotations

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import SBlockRV

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.levels import store_as_vectors
from ovenbird.backends.cpu.schedules.register_tile import unroll_vectorized
from ovenbird.operators.writing.blocks import divisors, extent, find_stages
from ovenbird.passes.kernels.annotations import DOT, VECTOR_LANES

PARTITION = "pragma_loop_partition_hint"
"""Read by TVM: a loop that is split where its conditions change, so that most of its turns test nothing."""


def schedule_depthwise(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a window over each channel by itself: accumulators for a strip of a row stay in registers.

    Padding is copied a band of rows at a time, into a buffer that stays in the first-level cache.
    """
    stages = find_stages(sch)
    anchor, output = stages.anchor, stages.output
    if sch.get(anchor).name_hint == sch.get(output).name_hint:
        output = sch.cache_write(anchor, 0, "local")
    n, c, h, w, lane = sch.get_loops(output)
    height = extent(sch, h)
    strip = strip_of(extent(sch, w), machine, stages.found.accumulator)
    band = max(divisors(height, 16))
    if band < 4 and height > 8:
        band = 8  # a band's padding holds the rows above and below it as well: few rows a band would copy them often
    band_factors = choices.tiles(sch, h, [band], innermost=height)
    strip_factors = choices.tiles(sch, w, [strip], innermost=machine.registers - 4)
    bands, row = sch.split(h, band_factors)
    strips, position = sch.split(w, strip_factors)
    sch.reorder(n, bands, c, row, strips, position, lane)  # cores divide rows, as in the layers around
    parallel = sch.fuse(n, bands, c)
    sch.parallel(parallel)
    sch.compute_at(anchor, strips, preserve_unit_loops=True)
    pairs = stages.found.taps > 1
    for block in reversed(stages.before):
        sch.compute_at(block, parallel, preserve_unit_loops=True)
        *_, column, lanes = sch.get_loops(block)
        sch.vectorize(lanes)
        if pairs:
            sch.annotate(column, PARTITION, 1)
    accumulate_window(sch, anchor, machine.lanes("int32") if pairs else 0)
    sch.unroll(position)
    sch.vectorize(lane)
    store_as_vectors(sch, output, position, machine)


def strip_of(width: int, machine: Machine, accumulator: str = "float32") -> int:
    """Return how many positions of a row have their accumulators in registers at one time."""
    most = max(min(8, machine.registers // (2 * machine.parts(accumulator))), 1)
    strip = max(divisors(width, most))
    return most if strip < most / 2 and width > most else strip


def accumulate_window(sch: Schedule, anchor: SBlockRV, pair_lanes: int = 0) -> None:
    """Keep the accumulators of the anchor's tile in registers over the window; `pair_lanes`: of vectors of int32, where
    two rows of the window are multiplied at once.
    """
    sch.set_scope(anchor, 0, "local")
    loops = sch.get_loops(anchor)[-7:]
    tile, reduction = loops[:5], loops[5:]
    sch.reorder(*reduction, *tile)
    for loop in (*reduction[1:], *tile[:-1]):
        sch.unroll(loop)
    if not pair_lanes:
        sch.vectorize(tile[-1])
    init = sch.decompose_reduction(anchor, reduction[0])
    unroll_vectorized(sch, *sch.get_loops(init)[-5:])
    if pair_lanes:  # not before, or the start would have them too
        sch.annotate(tile[-1], DOT, "words")
        sch.annotate(tile[-1], VECTOR_LANES, pair_lanes)
