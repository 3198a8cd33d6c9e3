"""Schedules for maps: every output element is computed from a few inputs, and memory bounds the speed.

Example: `schedule_map(sch, block, machine)` on a blocked image gives parallel(n, c, strips of pixels), pixels, lanes.
"""

from __future__ import annotations

import math

import tvm_ffi
from tvm import tirx
from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV
from tvm.sym import Analyzer

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.reduction import schedule_reduction
from ovenbird.operators.anchors import PARTS
from ovenbird.operators.writing.blocks import (
    branches,
    called,
    divisors,
    extent,
    fuse_all,
    is_reduction,
    leaf_blocks,
    widest_dtype,
)

PARALLEL_ELEMENTS = 16384
"""Fewer output elements than this are not worth waking the other threads: a launch costs 0.7 microseconds."""

ROW_VECTORS = 4
"""Rows of fewer vectors than this are not worth a loop of their own."""

UNROLLED_VECTORS = 4
"""Vectors that one iteration of an inner loop handles."""

STRIP_VECTORS = 8
"""Vectors of one iteration of a map whose shape is not an image's, at most."""

REUSED = 8
"""From so many uses of each element on, a function is computed once, and kept."""

FUNCTIONS = ("exp", "sigmoid", "tanh", "erf", "log", "pow", "sqrt")
"""Calls of many instructions."""


def schedule_map(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Schedule one elementwise or copying block: vectors inside, the outer axes parallel."""
    loops = sch.get_loops(block)
    if not loops:
        return
    if len(loops) == 5 and extent(sch, loops[-1]) == machine.block:
        schedule_image_map(sch, loops, machine)
    elif copies_rows(sch, block, loops, machine):
        rows = fuse_all(sch, loops[:-1])
        if math.prod(extent(sch, loop) for loop in (rows, loops[-1])) >= PARALLEL_ELEMENTS:
            sch.parallel(rows)
    else:
        lanes = machine.lanes(widest_dtype(sch, block))
        if branches(sch, block):
            # TVM makes a loop of such a vector, and LLVM (22) a vector of that loop, wrongly where the vector is longer
            # than a row: it takes `lane % 8` for `lane`
            lanes = math.gcd(extent(sch, loops[-1]), lanes)
            schedule_flat_map(sch, loops, lanes, vectors=1)
            return
        schedule_flat_map(sch, loops, lanes, vectors=STRIP_VECTORS)


def copies_rows(sch: Schedule, block: SBlockRV, loops: list[LoopRV], machine: Machine) -> bool:
    """Return whether the block moves rows that vectors do not divide, and are worth a loop of their own.

    Vectors across rows would load each element by itself; a loop over one row is left to LLVM, which has a remainder.
    """
    body = sch.get(block)
    length, lanes = extent(sch, loops[-1]), machine.lanes(widest_dtype(sch, block))
    if len(loops) < 2 or length % lanes == 0 or length < ROW_VECTORS * lanes:
        return False
    axes = [axis.var for axis in body.iter_vars]
    moved = False
    for region in body.reads:
        starts = [part.min for part in region.region]
        if not starts or not follows(starts[-1], axes[-1]):
            if any(uses(start, axes[-1]) for start in starts):
                return False
            continue  # the same for a whole row: the place that it comes from
        moved = moved or len(starts) != len(axes) or not all(a.same_as(b) for a, b in zip(starts, axes, strict=True))
    return moved


def follows(place: tirx.Expr, axis: tirx.Var) -> bool:
    """Return whether a place is an axis plus a constant."""
    return isinstance(Analyzer().simplify(place - axis), tirx.IntImm)


def uses(expression: tirx.Expr, variable: tirx.Var) -> bool:
    """Return whether an expression depends on a variable."""
    found: list[tirx.Var] = []
    tvm_ffi.structural_walk(expression, (tirx.Var, found.append))
    return any(one.same_as(variable) for one in found)


def schedule_image_map(sch: Schedule, loops: list[LoopRV], machine: Machine) -> None:
    """Schedule a map onto a blocked image: what differs between channel blocks is computed once a strip of pixels."""
    batch, channels, height, width, lane = loops
    elements = math.prod(extent(sch, loop) for loop in loops)
    outer, pixels = sch.fuse(batch, channels), sch.fuse(height, width)
    strips, pixel = sch.split(pixels, [None, strip_length(extent(sch, outer), extent(sch, pixels), machine)])
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(sch.fuse(outer, strips))
    unroll_strip(sch, pixel)
    sch.vectorize(lane)


def strip_length(outer: int, pixels: int, machine: Machine) -> int:
    """Return the longest divisor of `pixels` that shares `outer` x pixels evenly, or almost so, between the cores."""

    def busiest(length: int) -> int:
        return -(-outer * (pixels // length) // machine.cores) * length

    lengths = divisors(pixels, pixels)
    least = min(busiest(length) for length in lengths)
    return max(length for length in lengths if busiest(length) <= 1.05 * least)


def unroll_strip(sch: Schedule, loop: LoopRV) -> None:
    """Unroll a few iterations of an inner loop whose extent allows it."""
    count = max(divisors(extent(sch, loop), UNROLLED_VECTORS))
    if count > 1:
        _, unrolled = sch.split(loop, [None, count])
        sch.unroll(unrolled)


def schedule_flat_map(sch: Schedule, loops: list[LoopRV], lanes: int, vectors: int) -> None:
    """Schedule a map onto any other shape: vectors along the last axes, as few of them as whole vectors divide.

    Axes that need not be fused are not: TVM writes places behind a remainder of a fused index as gathers. An odd number
    of elements leaves a part of the last vector out. `vectors`: at most so many are written one behind the other;
    where they share a condition, TVM would keep it in a variable, of a type that it then refuses (a vector of bools).
    """
    count = whole_axes([extent(sch, loop) for loop in loops], lanes)
    elements = math.prod(extent(sch, loop) for loop in loops)
    columns = fuse_all(sch, loops[len(loops) - count :])
    length = extent(sch, columns)
    width = math.gcd(length, lanes)
    strip = width * max(divisors(length // width, vectors if elements >= PARALLEL_ELEMENTS else 1))
    strips, inner = sch.split(columns, [None, strip])
    outer = fuse_all(sch, [*loops[: len(loops) - count], strips])
    if elements >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
    if strip > width:
        unrolled, inner = sch.split(inner, [None, width])
        sch.unroll(unrolled)
    sch.vectorize(inner)


def whole_axes(extents: list[int], lanes: int) -> int:
    """Return how many of the last axes together hold whole vectors; all, if no number of them does."""
    for count in range(1, len(extents)):
        if math.prod(extents[-count:]) % lanes == 0:
            return count
    return len(extents)


def schedule_generic(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Any function without an anchor: elementwise blocks inlined, each remaining block parallel over its outer axes."""
    blocks = leaf_blocks(sch)
    for block in blocks[:-1]:
        if not is_reduction(sch, block) and not worth_keeping(sch, block, blocks[-1]):
            try:
                sch.compute_inline(block)
            except Exception:  # noqa: BLE001 - not inlinable (several writers, a reduction's consumer): stays a stage
                continue
    for block in leaf_blocks(sch):
        if is_reduction(sch, block):
            schedule_reduction(sch, block, machine)
        else:
            schedule_map(sch, block, machine)


def worth_keeping(sch: Schedule, block: SBlockRV, last: SBlockRV) -> bool:
    """Return whether a function of few elements is computed once: a gate, whose sigmoid every pixel would ask for."""
    few, many = (math.prod(extent(sch, loop) for loop in sch.get_loops(one)) for one in (block, last))
    return few * REUSED <= many and any(name.rpartition(".")[2] in FUNCTIONS for name in called(sch, block))


def schedule_concatenation(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a concatenation of channel blocks and the maps behind it, with a loop for each part.

    With anything else fused behind it (a change of layout, a reduction) it is scheduled like any other function.
    """
    blocks = leaf_blocks(sch)
    anchor = next(block for block in blocks if PARTS in sch.get(block).annotations)
    parts = [int(part) for part in sch.get(anchor).annotations[PARTS]]
    output = blocks[-1]
    shapes = [[extent(sch, loop) for loop in sch.get_loops(block)] for block in (anchor, output)]
    if shapes[0] != shapes[1] or any(is_reduction(sch, block) for block in blocks):
        schedule_generic(sch, machine, choices)
        return
    for block in blocks[:-1]:
        sch.compute_inline(block)
    batch, channels, height, width, lane = sch.get_loops(output)
    band = strip_length(extent(sch, batch), extent(sch, height), machine)
    bands, row = sch.split(height, [None, band])
    sch.reorder(batch, bands, channels, row, width, lane)
    outer = sch.fuse(batch, bands)
    unroll_strip(sch, sch.fuse(row, width))
    sch.vectorize(lane)
    if math.prod(shapes[0]) >= PARALLEL_ELEMENTS:
        sch.parallel(outer)
    if len(parts) > 1:
        sch.loop_partition(channels, [*parts[:-1], None], preserve_unit_iters=True)
