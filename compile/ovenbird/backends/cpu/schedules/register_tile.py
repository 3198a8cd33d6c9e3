"""The workhorse: a reduction computed as register tiles of `vectors` x `positions` accumulators.

Convolutions (direct, 1x1, from a plain image) and matrix products are all this shape: every output vector of b lanes
is a sum of (scalar of the data, broadcast) x (vector of the packed weights). The tile keeps vectors x positions
accumulators in registers over the whole reduction. The loop over the tile's vectors is innermost, so each broadcast
scalar is used at once for all vectors and never waits in a register: with it outermost, LLVM spills.

Loops: parallel(n, output chunk, position tile) -> output tile of the chunk -> reduction -> positions -> vectors, lanes.
An output chunk is as many output tiles as have their weights fit in half of L2, so weights and data are both reused.
Where all weights do, and the data are more, position tiles are outermost: each core has rows of its own in every layer.
Where a tile's data lie in too many pages, those of several are packed first (`packing.py`), and take turns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import DotKind, Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.levels import store_as_vectors
from ovenbird.backends.cpu.schedules.packing import pack_at, packed_data, tiles_to_pack
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, choose_tile
from ovenbird.operators.anchors import DILATION, VIEWED, Anchor, size_bytes
from ovenbird.operators.writing.blocks import divisors, extent, find_stages, fuse_all
from ovenbird.passes.kernels.annotations import APART, DOT, VECTOR_LANES
from ovenbird.passes.kernels.insert_prefetches import PREFETCH, PREFETCH_STEPS

STREAMED_SHARE = 8
"""Weights of more than this share of the second-level cache are taken to come from memory at each inference."""

FEW_STEPS = 4
"""Steps of several products that LLVM writes out with all that is around them."""

CHUNK_SHARE = 2
"""Weights of one chunk of outputs take at most this share of the second-level cache."""


def schedule_register_tile(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule a function whose anchor is annotated "tile" and whose epilogue is elementwise."""
    stages = find_stages(sch)
    for block in stages.before:
        if VIEWED in stages.found.details:
            sch.compute_inline(block)
        else:
            schedule_copy(sch, block, machine)
    anchor, output = stages.anchor, stages.output
    if sch.get(anchor).name_hint == sch.get(output).name_hint:
        output = sch.cache_write(anchor, 0, "local")
    spatial, reduction = split_axes(sch, anchor)
    out_axis = 0 if len(spatial) == 3 else 1
    extents = [extent(sch, loop) for loop in spatial]
    weight_bytes = size_bytes(stages.found.operand) * extents[-1] * extents[out_axis]
    for loop in reduction:
        weight_bytes *= extent(sch, loop)
    streamed = weight_bytes > machine.l2_bytes // STREAMED_SHARE
    rows = extents[2] if len(spatial) == 5 else 1
    tile = choose_tile(Extents(extents[out_axis], rows, extents[-2]), machine, streamed, stages.found.arithmetic)
    chunk = default_chunk(extents, out_axis, tile, weight_bytes, machine)

    axes = output_axes(sch, output, extents[-1], len(spatial))
    out_factors = choices.tiles(sch, axes.blocks, [chunk, tile.vectors * axes.parts], innermost=8)
    column_factors = choices.tiles(sch, axes.columns, [tile.columns], innermost=machine.registers - 3)
    chunks, out_tile, vectors = sch.split(axes.blocks, out_factors)
    tiles, column = sch.split(axes.columns, column_factors)
    group = 0 if stages.before else tiles_to_pack(sch, stages.found, tile, machine)
    tiles, *grouped = sch.split(tiles, [None, group]) if group else [tiles]
    outer, inner = [tiles], [column]
    if axes.rows is not None:
        row_tiles, row = sch.split(axes.rows, choices.tiles(sch, axes.rows, [tile.rows], innermost=4))
        outer, inner = [*near_rows(sch, row_tiles, stages.found), tiles], [row, column]
    outer = [*outer, chunks] if keeps_positions(sch, anchor, weight_bytes, machine) else [chunks, *outer]
    sch.reorder(*axes.batch, *outer, out_tile, *grouped, *inner, vectors, axes.lanes)
    part = fuse_all(sch, [*axes.batch, *outer])
    sch.parallel(part)
    packed = packed_data(sch, anchor) if grouped else None
    sch.compute_at(anchor, grouped[0] if grouped else out_tile, preserve_unit_loops=True)
    if packed is not None:
        pack_at(sch, packed, part)
    dots = dots_of(stages.found, machine)
    accumulate_in_registers(sch, anchor, len(spatial), len(reduction), out_axis, streamed, dots)
    if store_as_vectors(sch, output, column, machine):
        sch.reorder(vectors, *inner)  # positions next to their lanes: what is stored lies side by side
    unroll_vectorized(sch, *sch.get_loops(output)[-len(inner) - 2 :])


def keeps_positions(sch: Schedule, anchor: SBlockRV, weight_bytes: int, machine: Machine) -> bool:
    """Return whether cores divide positions rather than outputs among them: where the data are more than the weights,
    and those stay in the second-level cache. A core then reads what it has written in the layer before.
    """
    data = sch.get(anchor).reads[0].source
    data_bytes = math.prod(map(int, data.shape)) * size_bytes(str(data.dtype))
    return weight_bytes <= min(data_bytes, machine.l2_bytes // CHUNK_SHARE)


def near_rows(sch: Schedule, row_tiles: LoopRV, anchor: Anchor) -> list[LoopRV]:
    """Return the loops over rows, so ordered that rows which read the same rows of the data follow one another."""
    step = int(anchor.details.get(DILATION, 1))
    if not 1 < step < extent(sch, row_tiles):
        return [row_tiles]
    place, first = sch.split(row_tiles, [None, step])
    return [first, place]


def split_axes(sch: Schedule, block: SBlockRV) -> tuple[list[LoopRV], list[LoopRV]]:
    """Return the block's loops, spatial and reduction."""
    loops = sch.get_loops(block)
    kinds = [int(var.iter_type) for var in sch.get(block).iter_vars]
    spatial = [loop for loop, kind in zip(loops, kinds, strict=True) if kind == 0]
    return spatial, loops[len(spatial) :]


def default_chunk(extents: list[int], out_axis: int, tile: Tile, weight_bytes: int, machine: Machine) -> int:
    """Return the output tiles of a chunk: the most whose weights fit in half of L2 while every core still has work."""
    out_tiles = extents[out_axis] // tile.vectors
    tile_bytes = weight_bytes // out_tiles
    position_tiles = -(-extents[-2] // tile.columns)
    if len(extents) == 5:
        position_tiles *= extents[0] * -(-extents[2] // tile.rows)
    elif len(extents) == 4:
        position_tiles *= extents[0]
    best = 1
    for tiles in divisors(out_tiles, out_tiles):
        enough_work = (out_tiles // tiles) * position_tiles >= 8 * machine.cores
        if tiles * tile_bytes <= machine.l2_bytes // CHUNK_SHARE and enough_work:
            best = tiles
    return best


class OutputAxes(NamedTuple):
    """The output block's loops by the part they play in the tile; `parts` output loops make one block of lanes."""

    batch: list[LoopRV]
    blocks: LoopRV
    rows: LoopRV | None
    columns: LoopRV
    lanes: LoopRV
    parts: int


def output_axes(sch: Schedule, output: SBlockRV, lanes: int, rank: int) -> OutputAxes:
    """Find the tile's axes in the output block.

    The output is [N, O/b, H, W, b] (or with H and W as one axis) behind a convolution, [..., M, N] behind a matrix
    product. There the columns need not fill whole blocks: they are stored by the widest vector that divides them.
    """
    loops = sch.get_loops(output)
    if rank == 3:
        *rows, columns = loops
        width = math.gcd(extent(sch, columns), lanes)
        blocks, lane = sch.split(columns, [None, width])
        return OutputAxes([], blocks, None, fuse_all(sch, rows), lane, lanes // width)
    if rank == 4 and len(loops) == 3:  # a batch of matrix products
        batch, row, columns = loops
        width = math.gcd(extent(sch, columns), lanes)
        blocks, lane = sch.split(columns, [None, width])
        return OutputAxes([batch], blocks, None, row, lane, lanes // width)
    if rank == 4:
        # One block axis, not two fused loops: a ragged split of those has no affine map back to rows and columns.
        width = extent(sch, loops[3])
        sch.transform_block_layout(output, lambda n, o, h, w, v: (n, o, h * width + w, v))
        batch, blocks, positions, lane = sch.get_loops(output)
        return OutputAxes([batch], blocks, None, positions, lane, 1)
    return OutputAxes([loops[0]], loops[1], loops[2], loops[3], loops[4], 1)


def dots_of(anchor: Anchor, machine: Machine) -> tuple[DotKind, int] | None:
    """Return how several products of an anchor are added up in one step, inside each of so many lanes; None for one."""
    return (machine.dot_of(anchor.arithmetic), machine.lanes("int32")) if anchor.taps > 1 else None


def accumulate_in_registers(
    sch: Schedule,
    anchor: SBlockRV,
    spatial: int,
    reduction: int,
    out_axis: int,
    streamed: bool,
    dots: tuple[DotKind, int] | None = None,
) -> None:
    """Put the reduction outside the tile, unroll the tile and keep its accumulators in registers.

    `dots`: of `dots_of`; the step is the last axis of the reduction.
    """
    sch.set_scope(anchor, 0, "local")
    loops = sch.get_loops(anchor)[-(spatial + reduction) :]
    tile, reduce_loops = loops[:spatial], loops[spatial:]
    vectors, lane = tile[out_axis], tile[-1]
    others = [loop for i, loop in enumerate(tile[:-1]) if i != out_axis]
    if dots is None:
        sch.reorder(*reduce_loops, *others, vectors, lane)
        unroll_vectorized(sch, *others, vectors, lane)
    else:
        tap = reduce_loops.pop()
        sch.reorder(*reduce_loops, *others, vectors, lane, tap)
        for loop in (*others, vectors):
            sch.unroll(loop)
    if streamed:
        sch.annotate(reduce_loops[-1], PREFETCH, PREFETCH_STEPS)
    elif dots is not None and math.prod(extent(sch, loop) for loop in reduce_loops) <= FEW_STEPS:
        sch.annotate(reduce_loops[-1], APART, 1)
    init = sch.decompose_reduction(anchor, reduce_loops[0])
    unroll_vectorized(sch, *sch.get_loops(init)[-spatial:])
    if dots is not None:  # not before, or the start would have them too
        kind, lanes = dots
        sch.annotate(lane, DOT, kind)
        sch.annotate(lane, VECTOR_LANES, lanes)


def unroll_vectorized(sch: Schedule, *loops: LoopRV) -> None:
    """Unroll all loops but the last, which is vectorized."""
    for loop in loops[:-1]:
        sch.unroll(loop)
    sch.vectorize(loops[-1])


def schedule_copy(sch: Schedule, block: SBlockRV, machine: Machine) -> None:
    """Schedule a stage before the anchor (padding, packing): parallel over the outer axes, vectors inside."""
    loops = sch.get_loops(block)
    if len(loops) == 5:  # a blocked image: cores divide rows, as what reads it does
        loops[1], loops[2] = loops[2], loops[1]
        sch.reorder(*loops)
    outer, inner = loops[:-1], loops[-1]
    keep = 1 if len(loops) > 3 else 0
    if outer:
        sch.parallel(fuse_all(sch, outer[: len(outer) - keep]))
    width = extent(sch, inner)
    if width == machine.block:
        sch.vectorize(inner)
