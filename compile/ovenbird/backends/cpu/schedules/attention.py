"""Schedule of attention: parallel over matrices and tiles of rows; one tile goes through all stages in the cache.

Both products are register tiles, as in `register_tile`: the scores' over blocks of keys, the result's over blocks of
columns.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from tvm.s_tir import Schedule
from tvm.s_tir.schedule import LoopRV, SBlockRV

from ovenbird.backends.cpu.machine import DotKind, Machine
from ovenbird.backends.cpu.schedules.choices import Choices
from ovenbird.backends.cpu.schedules.register_tile import dots_of, unroll_vectorized
from ovenbird.backends.cpu.schedules.tile_choice import Extents, Tile, estimate, fits
from ovenbird.operators.anchors import ROWS, VECTORS
from ovenbird.operators.anchors import AttentionStages as Stage
from ovenbird.operators.writing.blocks import anchor_among, divisors, extent, fuse_all, leaf_blocks
from ovenbird.passes.kernels.annotations import DOT, VECTOR_LANES

TILED = (Stage.ROW_SUM, Stage.LANE_SUM, Stage.POWERS, Stage.ROW_MAX, Stage.LANE_MAX, Stage.SCORES)
"""The stages of one tile of rows, consumers first, and those of a whole matrix."""

PACKED = (Stage.VALUES, Stage.KEYS)

MATRICES_A_CORE = 8
"""With this many matrices for each core, or a multiple of the cores, every core packs and uses its own."""


class AttentionAxes(NamedTuple):
    """The output's loops, outermost first."""

    batch: LoopRV
    tiles: LoopRV
    blocks: LoopRV
    row: LoopRV
    vectors: LoopRV
    lane: LoopRV


def choose_tiling(key_blocks: int, rows: int, value_blocks: int, machine: Machine) -> tuple[int, int]:
    """(rows, score vectors) of least estimated cost, both products counted once for each step of their reduction."""
    best = (math.inf, 1, 1)
    for count in range(1, min(rows, machine.registers) + 1):
        scores = min(
            (estimate(Tile(vectors, 1, count), Extents(key_blocks, 1, rows), machine, False), vectors)
            for vectors in range(1, min(key_blocks, 8) + 1)
            if vectors == 1 or fits(Tile(vectors, 1, count), machine)
        )
        result = estimate(
            Tile(result_vectors(value_blocks, count, machine), 1, count), Extents(value_blocks, 1, rows), machine, False
        )
        if fits(Tile(1, 1, count), machine):
            best = min(best, (scores[0] + result * key_blocks / value_blocks, count, scores[1]))
    return best[1], best[2]


def result_vectors(value_blocks: int, rows: int, machine: Machine) -> int:
    """Return the column blocks of the second product's tile."""
    return max(v for v in divisors(value_blocks, 8) if v == 1 or fits(Tile(v, 1, rows), machine))


def schedule_attention(sch: Schedule, machine: Machine, choices: Choices) -> None:
    """Schedule the function of `operators.attention`, with elementwise maps before and behind it."""
    blocks = {str(sch.get(block).name_hint): block for block in leaf_blocks(sch)}
    *others, last = blocks
    for name in others:
        if name not in (*PACKED, *TILED, Stage.PRODUCTS, Stage.WEIGHTED):
            sch.compute_inline(blocks[name])
    weighted = blocks[Stage.WEIGHTED]
    annotations = sch.get(weighted).annotations
    rows, vectors = int(annotations[ROWS]), int(annotations[VECTORS])
    anchor = anchor_among(sch, [weighted])
    assert anchor is not None
    dots = dots_of(anchor, machine)
    axes = output_axes(sch, blocks[last], weighted, rows, machine)

    matrices = extent(sch, axes.batch)
    pack_inside = matrices % machine.cores == 0 or matrices >= MATRICES_A_CORE * machine.cores
    tiles = axes.tiles
    if pack_inside:
        sch.parallel(axes.batch)
    else:
        tiles = sch.fuse(axes.batch, axes.tiles)
        sch.parallel(tiles)
    sch.compute_at(weighted, axes.blocks, preserve_unit_loops=True)
    for name in TILED:
        sch.compute_at(blocks[name], tiles, preserve_unit_loops=True)
    score_loops = split_scores(sch, blocks[Stage.SCORES], blocks[Stage.PRODUCTS], vectors)
    for name in PACKED:
        if pack_inside:
            sch.compute_at(blocks[name], axes.batch, preserve_unit_loops=True)
    # Reductions last: once their start is a block of its own, nothing moves any more.
    for name in PACKED:
        schedule_packing(sch, blocks[name], not pack_inside, dots is not None)
    for block in (weighted, blocks[Stage.PRODUCTS]):
        accumulate(sch, block, dots)
    unroll_vectorized(sch, *score_loops)
    for name in (Stage.LANE_MAX, Stage.LANE_SUM):
        m, lane, o = sch.get_loops(blocks[name])[-3:]
        sch.reorder(m, o, lane)
        sch.vectorize(lane)
        init = sch.decompose_reduction(blocks[name], o)
        sch.vectorize(sch.get_loops(init)[-1])
    sch.vectorize(sch.get_loops(blocks[Stage.POWERS])[-1])
    unroll_vectorized(sch, axes.row, axes.vectors, axes.lane)


def output_axes(sch: Schedule, output: SBlockRV, weighted: SBlockRV, rows: int, machine: Machine) -> AttentionAxes:
    """Split the output's loops [B, M, E] into tiles; columns are stored by the widest vector that divides them."""
    _, blocks, _, lane, *_ = (extent(sch, loop) for loop in sch.get_loops(weighted))
    batch, row, column = sch.get_loops(output)
    width = math.gcd(extent(sch, column), lane)
    tiles, in_tile = sch.split(row, [None, rows])
    vectors = result_vectors(blocks, rows, machine) * (lane // width)
    outer, inner, lanes = sch.split(column, [None, vectors, width])
    sch.reorder(batch, tiles, outer, in_tile, inner, lanes)
    return AttentionAxes(batch, tiles, outer, in_tile, inner, lanes)


def split_scores(sch: Schedule, scores: SBlockRV, products: SBlockRV, vectors: int) -> tuple[LoopRV, LoopRV, LoopRV]:
    """Split the scores into tiles of rows by `vectors` blocks of keys, from registers; return the tile's loops."""
    o, m, lane = sch.get_loops(scores)[-3:]
    outer, inner = sch.split(o, [None, vectors])
    sch.reorder(outer, m, inner, lane)
    sch.compute_at(products, outer, preserve_unit_loops=True)
    return m, inner, lane


def accumulate(sch: Schedule, block: SBlockRV, dots: tuple[DotKind, int] | None) -> None:
    """Put the reduction outside a tile [1, blocks, rows, lanes] whose accumulators stay in registers; `dots` as in
    `register_tile`.
    """
    sch.set_scope(block, 0, "local")
    batch, o, m, lane, reduction, *taps = sch.get_loops(block)[-5 if dots is None else -6 :]
    sch.reorder(reduction, batch, m, o, lane, *taps)
    if dots is None:
        unroll_vectorized(sch, batch, m, o, lane)
    else:
        for loop in (batch, m, o):
            sch.unroll(loop)
    init = sch.decompose_reduction(block, reduction)
    unroll_vectorized(sch, *sch.get_loops(init)[-4:])
    if dots is not None:
        kind, lanes = dots
        sch.annotate(lane, DOT, kind)
        sch.annotate(lane, VECTOR_LANES, lanes)


def schedule_packing(sch: Schedule, block: SBlockRV, parallel: bool, paired: bool) -> None:
    """Copy one matrix's, or all matrices', keys or values into blocks; `paired`: two rows of them side by side."""
    loops = sch.get_loops(block)
    if parallel:
        sch.parallel(fuse_all(sch, loops[:2]))
    if str(sch.get(block).name_hint) == Stage.VALUES and not paired:
        sch.vectorize(loops[-1])
    else:
        sch.unroll(loops[-1])
