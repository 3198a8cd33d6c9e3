"""The tiles that tuning tries: those of the default choice, and all others that the schedules can follow.

Example: `wide_tiles(chip_of(load_target("cuda-sm90")), "float16")` has several dozen, the default ones first.
"""

from __future__ import annotations

import itertools

from ovenbird.backends.cuda.chip import WARP, Chip
from ovenbird.backends.cuda.plans.tiling import BlockTile, shared_bytes, tiles_for

ACROSS, PIECE = 16, 4
"""Threads along a row of a tile at most, and the piece of outputs that each thread holds (`schedules.simt`)."""

SIDE, DOWN = 16, {1: 1, 2: 1, 4: 2, 8: 2}
"""The side of a tensor core's fragment (`schedules.tensor_core`), and warps along the rows for each number of warps."""

THREAD_REGISTERS = 180
"""32-bit registers of a thread that outputs and operands may take: of 255, some are for addresses."""

LEAST_OUTPUTS = 8
"""Outputs a thread computes at least: below, loads take longer than the arithmetic."""

SIMT_SHAPES = ((8, 16, 32, 64, 128), (32, 64, 128), (8, 16, 32), (32, 64, 128, 256))
TENSOR_SHAPES = ((16, 32, 64, 128), (32, 64, 128), (16, 32, 64), (32, 64, 128, 256))


def wide_tiles(chip: Chip, dtype: str) -> tuple[BlockTile, ...]:
    """Return all tiles for operands of a dtype within the chip's limits."""
    half = dtype == "float16"
    known = tiles_for(chip, dtype)
    shapes = {(tile.rows, tile.columns, tile.inner, tile.threads) for tile in known}
    found = list(known)
    for rows, columns, inner, threads in itertools.product(*(TENSOR_SHAPES if half else SIMT_SHAPES)):
        tile = BlockTile(rows, columns, inner, threads, efficiency(rows, columns, half))
        fits = tensor_core_fits(tile) if half else simt_fits(tile)
        within = threads <= chip.max_threads and shared_bytes(tile, dtype) <= chip.shared_bytes
        if fits and within and (rows, columns, inner, threads) not in shapes:
            found.append(tile)
    return tuple(found)


def efficiency(rows: int, columns: int, half: bool) -> float:
    """Return a tile's share of the peak: by how often it uses what it loads; fitted to the default tiles' shares."""
    reuse = rows * columns / (rows + columns) / 64
    return float(min(1.0, reuse**0.55) * (0.85 if half else 1.0))


def simt_fits(tile: BlockTile) -> bool:
    """Return whether threads hold whole pieces of 4 x 4, copy whole vectors, and keep their outputs in registers."""
    across = min(tile.columns // PIECE, ACROSS)
    down, rest = divmod(tile.threads, across)
    if rest or not down or tile.rows % (PIECE * down) or tile.columns % (PIECE * across):
        return False
    high, wide = tile.rows // down, tile.columns // across
    vector = tile.threads * PIECE
    whole = tile.rows * tile.inner % vector == 0 and tile.columns * tile.inner % vector == 0
    return whole and high * wide >= LEAST_OUTPUTS and high * wide + 2 * (high + wide) <= THREAD_REGISTERS


def tensor_core_fits(tile: BlockTile) -> bool:
    """Return whether warps hold whole fragments, copy something each, and keep their sums in registers."""
    warps = tile.threads // WARP
    down = min(tile.rows // SIDE, DOWN[warps])
    across, rest = divmod(warps, down)
    if rest or tile.rows // SIDE % down or tile.columns // SIDE % across:
        return False
    high, wide = tile.rows // SIDE // down, tile.columns // SIDE // across
    if min(high, wide) < 1 or min(tile.rows, tile.columns) * tile.inner < tile.threads:
        return False
    # A fragment of 16 x 16 sums takes 8 registers of each lane, one of operands 8 as well.
    return 8 * (high * wide + (high + wide)) <= THREAD_REGISTERS
