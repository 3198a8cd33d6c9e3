"""How a matrix product is cut into tiles for a chip: by an estimate of the slowest multiprocessor's time.

    plan = choose_tiling(ProductShape(batch=1, rows=49, columns=512, inner=4608), chip, "float32")
    plan.tile.rows, plan.splits          # 32, 4

The estimate counts multiply-adds in waves of blocks. It was made without a GPU at hand: tuning is what measures.
"""

from __future__ import annotations

from dataclasses import dataclass

from ovenbird.backends.cuda.chip import WARP, Chip


@dataclass(frozen=True)
class ProductShape:
    """C[batch, rows, columns] summed over `inner`."""

    batch: int
    rows: int
    columns: int
    inner: int


@dataclass(frozen=True)
class BlockTile:
    """What one block of threads computes. `per_thread`: outputs a thread holds; `efficiency`: share of the peak."""

    rows: int
    columns: int
    inner: int
    threads: int
    efficiency: float


FLOAT32_TILES = (
    BlockTile(128, 128, 8, 256, 1.0),
    BlockTile(128, 64, 16, 256, 0.9),
    BlockTile(64, 64, 16, 256, 0.75),
    BlockTile(64, 64, 16, 64, 0.85),
    BlockTile(32, 64, 16, 128, 0.6),
    BlockTile(32, 32, 16, 64, 0.5),
    BlockTile(16, 64, 16, 64, 0.4),
    BlockTile(8, 64, 16, 32, 0.3),
)
"""Of plain multiply-adds: each thread holds (rows x columns) / threads outputs, in pieces of 4 x 4."""

FLOAT16_TILES = (
    BlockTile(128, 64, 16, 256, 0.75),
    BlockTile(64, 64, 32, 128, 0.65),
    BlockTile(32, 64, 32, 128, 0.45),
    BlockTile(32, 32, 32, 128, 0.35),
    BlockTile(16, 64, 64, 128, 0.25),
)
"""Of tensor cores: each warp holds (rows x columns) / warps outputs, in pieces of 16 x 16."""

FEW_ROWS = 4
"""Products of at most this many rows are limited by reading the other operand once: no tiles."""

SPLITS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 32)
MIN_PART = 64
"""The least length of the summed axis that is worth a part of its own."""

BUSY_WARPS = 16
"""Warps a multiprocessor needs to hide the latency of its memory and arithmetic."""

KERNEL_COST, BYTE_COST = 400_000, 9.0
"""Multiply-adds of a multiprocessor in the time that one more kernel or one byte more from memory takes."""

TENSOR_CORE_SPEED = 12.0
"""Tensor cores do this many more multiply-adds in the same time."""


@dataclass(frozen=True)
class Tiling:
    """The tile, and into how many parts the summed axis is cut."""

    tile: BlockTile
    splits: int

    def __str__(self) -> str:
        """Return the plan as logs show it."""
        tile = self.tile
        return f"tiles of {tile.rows}x{tile.columns}x{tile.inner} by {tile.threads} threads, {self.splits} parts"


OPERAND_MARGIN, SUM_MARGIN = 8, 4
"""What the schedules add to each row of a shared tile, in elements: of operands on tensor cores, and of their sums."""


def shared_bytes(tile: BlockTile, dtype: str) -> int:
    """Return the shared memory that a block of threads takes; tensor cores give their sums to it too."""
    if dtype != "float16":
        return 4 * (tile.rows + tile.columns) * tile.inner
    operands = 2 * (tile.rows + tile.columns) * (tile.inner + OPERAND_MARGIN)
    return operands + 4 * tile.rows * (tile.columns + SUM_MARGIN)


def tiles_for(chip: Chip, dtype: str) -> tuple[BlockTile, ...]:
    """Return the tiles for operands of a dtype that fit the chip's shared memory."""
    tiles = FLOAT16_TILES if dtype == "float16" else FLOAT32_TILES
    return tuple(tile for tile in tiles if shared_bytes(tile, dtype) <= chip.shared_bytes)


def splits_for(shape: ProductShape) -> tuple[int, ...]:
    """Return into how many parts the summed axis may be cut."""
    return tuple(
        splits for splits in SPLITS if shape.inner % splits == 0 and (splits == 1 or shape.inner // splits >= MIN_PART)
    )


def choose_tiling(shape: ProductShape, chip: Chip, dtype: str) -> Tiling:
    """Return the tiling with the lowest estimate; of equal ones the one with fewer splits and the larger tile."""
    options = [Tiling(tile, splits) for splits in splits_for(shape) for tile in tiles_for(chip, dtype)]
    return min(options, key=lambda option: estimate(shape, option, chip, dtype))


def estimate(shape: ProductShape, tiling: Tiling, chip: Chip, dtype: str) -> float:
    """Return the busiest multiprocessor's time, in multiply-adds of its peak rate."""
    tile, splits = tiling.tile, tiling.splits
    blocks = -(-shape.rows // tile.rows) * -(-shape.columns // tile.columns) * shape.batch * splits
    waves = -(-blocks // chip.multiprocessors)
    together = max(1, min(waves, 2048 // tile.threads))
    occupancy = min(1.0, together * tile.threads / WARP / BUSY_WARPS)
    steps = -(-shape.inner // (splits * tile.inner)) * tile.inner
    speed = TENSOR_CORE_SPEED if dtype == "float16" else 1.0
    time = waves * tile.rows * tile.columns * steps / (tile.efficiency * occupancy * speed)
    if splits > 1:
        written = 8 * shape.batch * shape.rows * shape.columns * splits
        time += KERNEL_COST + BYTE_COST * written / chip.multiprocessors
    return time
