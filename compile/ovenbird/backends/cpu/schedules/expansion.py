"""Schedule for a 1x1 convolution and the depthwise one behind it in one kernel, as inverted bottlenecks begin.

A few blocks of channels at a time: their whole image is made where the depthwise window reads it, its border of zeros
around it, and is still in cache then. Memory never sees the wide image, and nothing is computed twice.

Example: 32 to 192 channels at 40x40, 3x3: eight parts of three blocks, each with [3, 42, 42, 8] floats of scratch.
"""

from __future__ import annotations

import contextlib
import math

from tvm.s_tir import Schedule, ScheduleError

from ovenbird.backends.cpu.machine import Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.depthwise import accumulate_window, strip_of
from ovenbird.backends.cpu.schedules.register_tile import (
    STREAMED_SHARE,
    accumulate_in_registers,
    dots_of,
    split_axes,
    unroll_vectorized,
)
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, choose_tile, estimate, fits
from ovenbird.operators.anchors import FLOAT32, Arithmetic, size_bytes
from ovenbird.operators.writing.blocks import anchors_among, divisors, extent, leaf_blocks

LOSS = 1.15
"""What the 1x1 convolution may cost in parts, above its best tile on cores that all have as much to do."""

SCRATCH_SHARE = 16
"""The image of one part takes at most so many second-level caches."""


def tile_of(
    images: int, blocks: int, rows: int, columns: int, machine: Machine, arithmetic: Arithmetic = FLOAT32
) -> Tile | None:
    """Return the register tile of the 1x1 convolution, whose vectors are the channel blocks of a part; None where the
    cores would not have as many parts each, or their images would be too large.
    """
    block_bytes = rows * columns * machine.block * size_bytes("float32")
    tiles = [
        choose_tile(Extents(vectors, rows, columns), machine, arithmetic=arithmetic, vectors=vectors)
        for vectors in divisors(blocks, SCRATCH_SHARE * machine.l2_bytes // block_bytes)
        if fits(Tile(vectors, 1, 1), machine, arithmetic)
    ]

    def cycles(tile: Tile) -> float:
        parts = -(-images * blocks // tile.vectors // machine.cores)
        return parts * estimate(tile, Extents(tile.vectors, rows, columns), machine, False, arithmetic)

    best = min(tiles, key=cycles, default=None)
    whole = Extents(blocks, rows, columns)
    tile = choose_tile(whole, machine, arithmetic=arithmetic)
    alone = estimate(tile, whole, machine, False, arithmetic) * images / machine.cores
    return best if best is not None and cycles(best) <= LOSS * alone else None


def schedule_expansion(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a function of two anchors, "tile" and "depthwise", with elementwise maps behind each."""
    blocks = leaf_blocks(sch)
    found, following = anchors_among(sch, blocks)
    expand, window = found.block, following.block
    first, second = (next(at for at, one in enumerate(blocks) if one is block) for block in (expand, window))
    padded, output = blocks[second - 1], blocks[-1]
    images, channels, rows, columns, _ = (extent(sch, loop) for loop in sch.get_loops(blocks[first + 1]))
    tile = tile_of(images, channels, rows, columns, machine, found.arithmetic)
    assert tile is not None
    for block in (*blocks[first + 1 : second - 1], *blocks[second + 1 : -1]):
        sch.compute_inline(block)
    if output is window:
        output = sch.cache_write(window, 0, "local")

    batch, wide, height, width, lane = sch.get_loops(output)
    strip = strip_of(extent(sch, width), machine)
    parts, block = sch.split(wide, [None, tile.vectors])
    strips, position = sch.split(width, choices.tiles(sch, width, [strip], innermost=machine.registers - 4))
    sch.reorder(batch, parts, block, height, strips, position, lane)
    part = sch.fuse(batch, parts)
    sch.parallel(part)
    sch.compute_at(window, strips, preserve_unit_loops=True)
    accumulate_window(sch, window)
    sch.unroll(position)
    sch.vectorize(lane)

    sch.compute_at(padded, part, preserve_unit_loops=True)
    with contextlib.suppress(ScheduleError):  # where windows see no border: its condition is always true
        border = sch.decompose_padding(padded, sch.get_loops(padded)[1])
        sch.vectorize(sch.get_loops(border)[-1])
    _, _, vector, height, width, lane = sch.get_loops(padded)
    row_tiles, row = sch.split(height, [None, tile.rows])
    tiles, column = sch.split(width, choices.tiles(sch, width, [tile.columns], innermost=machine.registers - 3))
    sch.reorder(row_tiles, tiles, row, column, vector, lane)
    spatial, reduction = split_axes(sch, expand)
    weights = math.prod(extent(sch, loop) for loop in (spatial[1], spatial[-1], *reduction))
    streamed = weights * size_bytes(found.operand) > machine.l2_bytes // STREAMED_SHARE
    sch.compute_at(expand, tiles, preserve_unit_loops=True)
    accumulate_in_registers(sch, expand, len(spatial), len(reduction), 1, streamed, dots_of(found, machine))
    unroll_vectorized(sch, row, column, vector, lane)
