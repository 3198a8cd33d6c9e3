"""Chooses a register tile from the machine's description: no search, one estimate in cycles.

Example: on AVX-512, `choose_tile(Extents(16, 14, 14), machine)` is `Tile(vectors=2, rows=1, columns=14)`.
"""

from __future__ import annotations

from typing import NamedTuple

from ovenbird.backends.cpu.machine import Machine
from ovenbird.operators.anchors import FLOAT32, Arithmetic, size_bytes
from ovenbird.operators.writing.blocks import divisors

CHAINS = 8
"""A fused multiply-add takes 4 cycles and two start per cycle: fewer chains than this leave the unit idle."""

MEMORY_BYTES_PER_CYCLE = 8.0
"""Bytes per cycle that one core reads from memory while all read. With what a machine was measured to do instead, 2 on
a Zen 3, tiles were chosen by which ResNet50 took 1.4 times as long: much of what is streamed is prefetched."""

LOADS, BROADCASTS = 1.05, 1.1
"""What loads cost above their number where a step waits for them: with 16 registers, instructions that multiply
by a number of memory in all lanes are rare, and LLVM holds what it broadcasts in registers, then sums on the stack."""

RAGGED = 1.04
"""What the branches of a ragged last tile cost, as a factor."""


class Extents(NamedTuple):
    """What is tiled: blocks of outputs, rows and columns of output positions (a flat axis is one row)."""

    out_blocks: int
    rows: int
    columns: int


class Tile(NamedTuple):
    """Accumulators: `vectors` blocks of outputs by `rows` x `columns` output positions."""

    vectors: int
    rows: int
    columns: int

    @property
    def positions(self) -> int:
        """Output positions of the tile."""
        return self.rows * self.columns


def fits(tile: Tile, machine: Machine, arithmetic: Arithmetic = FLOAT32) -> bool:
    """Return True if accumulators, the weights of each vector and one position's data fit in the registers."""
    each, shared = machine.step_registers(arithmetic)
    return machine.parts(arithmetic.accumulator) * tile.vectors * (tile.positions + each) + shared <= machine.registers


def estimate(tile: Tile, extents: Extents, machine: Machine, streamed: bool, arithmetic: Arithmetic = FLOAT32) -> float:
    """Estimate the cycles for all outputs, per step of the reduction.

    Two multiply-adds and two loads start per cycle (Zen 4 and 5, Intel since Haswell, Neoverse alike). A tile that does
    not divide the extents computes outputs that nobody wants. Streamed weights come from memory for the first tile of
    positions, which can go no faster than they come; a large tile hides that.
    """
    registers = machine.parts(arithmetic.accumulator) * tile.vectors
    multiply = registers * tile.positions / 2
    loads = (registers + tile.positions) / 2
    step = max(multiply, loads * (BROADCASTS if machine.registers < 32 else LOADS), CHAINS / 2) + 0.5
    weight_bytes = machine.block * size_bytes(arithmetic.operand) * arithmetic.taps
    first = max(step, tile.vectors * weight_bytes / MEMORY_BYTES_PER_CYCLE) if streamed else step
    position_tiles = -(-extents.rows // tile.rows) * -(-extents.columns // tile.columns)
    ragged = extents.rows % tile.rows or extents.columns % tile.columns
    cycles = (first + (position_tiles - 1) * step) * -(-extents.out_blocks // tile.vectors)
    return cycles * (RAGGED if ragged else 1.0)


def choose_rows(out_blocks: int, rows: int, machine: Machine, arithmetic: Arithmetic = FLOAT32) -> int:
    """Return the tile's rows of least estimated cycles where rows past the end may be computed and dropped."""
    tiles = [
        Tile(vectors, 1, columns)
        for vectors in range(1, min(out_blocks, 8) + 1)
        if out_blocks % vectors == 0
        for columns in range(1, min(rows, machine.registers) + 1)
        if fits(Tile(vectors, 1, columns), machine, arithmetic)
    ]

    def cycles(tile: Tile) -> float:
        whole = -(-rows // tile.columns) * tile.columns
        return estimate(tile, Extents(out_blocks, 1, whole), machine, False, arithmetic)

    return min(tiles, key=cycles).columns


def choose_tile(
    extents: Extents,
    machine: Machine,
    streamed: bool = False,
    arithmetic: Arithmetic = FLOAT32,
    vectors: int | None = None,
) -> Tile:
    """Return the tile of least estimated cycles; its vectors divide the blocks of outputs, or are as many as asked."""
    candidates = [
        Tile(vectors, rows, columns)
        for vectors in ([vectors] if vectors else divisors(extents.out_blocks, 8))
        for columns in range(1, min(extents.columns, machine.registers) + 1)
        for rows in (range(1, extents.rows + 1) if columns == extents.columns else (1,))
        if fits(Tile(vectors, rows, columns), machine, arithmetic)
    ]
    return min(candidates, key=lambda tile: estimate(tile, extents, machine, streamed, arithmetic))
