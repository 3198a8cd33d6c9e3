"""Packing, unpacking and the exchange of two axes as tiles that are transposed in registers.

A function that moves elements and does nothing else is marked with the kind of its movement; where no map has been
fused into it, `transposing_kernel` is what runs. A tile of b x b elements is b loads, b stores and b log2(b) shuffles
of two vectors between them (Eklundh 1972), where a loop over one axis takes a load for each element.

Example: `pack` of [1, 144, 56, 56] with 16 lanes moves 1,764 tiles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.writing.loops import spread, write_kernel

MOVEMENT = "ovenbird.movement"
"""The attribute of a function that does nothing but move elements: how."""

MovementKind = Literal["pack", "unpack", "swap"]
"""pack: [N, C, ...] -> [N, ceil(C/b), ..., b]; unpack: back; swap: [B, R, C] -> [B, C, R]."""

DTYPES = ("float32", "int32")

STRIP = 4
"""Tiles side by side that one thread moves before it goes on to the next rows: whole pages are read by turns else."""


def transposing_kernel(
    kind: MovementKind, source: Sequence[int], target: Sequence[int], dtype: str, lanes: int
) -> tirx.PrimFunc | None:
    """Return the movement between tensors of two shapes by tiles of `lanes`; None where no tile fits in."""
    if dtype not in DTYPES:
        return None
    if kind == "swap":
        *batch, rows, columns = source
        matrices, block = math.prod(batch), rows
    else:
        plain, blocked = (source, target) if kind == "pack" else (target, source)
        block = blocked[-1]
        matrices, rows, columns = plain[0], plain[1], math.prod(plain[2:])
    if columns < lanes or block < lanes or (kind != "swap" and block % lanes):
        return None
    writer = TileWriter(kind, rows, columns, block, lanes)

    def body(*tensors: Any) -> None:
        given, result = (
            builder.decl_buffer((math.prod(map(int, tensor.shape)),), dtype, tensor.data) for tensor in tensors
        )
        writer.write(given, result, matrices)

    return write_kernel(kind, [(source, dtype), (target, dtype)], body)


class TileWriter:
    """Writes the loops over the tiles of matrices [rows, columns], in blocks of `block` rows that are stored apart."""

    def __init__(self, kind: MovementKind, rows: int, columns: int, block: int, lanes: int) -> None:
        self.kind, self.rows, self.columns, self.block, self.lanes = kind, rows, columns, block, lanes
        self.blocks = -(-rows // block)

    def write(self, source: Any, target: Any, matrices: int) -> None:
        """Write all matrices: whole blocks, then those that rows do not fill."""
        whole = self.rows // self.block
        if whole:
            self.write_blocks(source, target, matrices, 0, whole, self.block)
        if whole < self.blocks:
            self.write_blocks(source, target, matrices, whole, 1, self.rows % self.block)

    def write_blocks(self, source: Any, target: Any, matrices: int, first: int, count: int, filled: int) -> None:
        """Write `count` blocks of each matrix, `filled` rows of each."""
        tiles = -(-self.columns // self.lanes)
        strips = -(-tiles // STRIP)
        elements = matrices * count * self.block * self.columns
        with spread(matrices * count * strips, elements) as task:
            matrix, block = task // (count * strips), first + task // strips % count
            with (
                builder.serial(-(-self.block // self.lanes)) as part,
                builder.serial(min(STRIP, tiles)) as step,
            ):
                # The last tile of either axis lies over the one before it: what both write is the same.
                column = tirx.min((task % strips * STRIP + step) * self.lanes, self.columns - self.lanes)
                row = tirx.min(part * self.lanes, self.block - self.lanes)
                self.write_tile(source, target, (matrix, block, row, column), filled)

    def write_tile(self, source: Any, target: Any, at: tuple[Any, Any, Any, Any], filled: int) -> None:
        """Write one tile from row and column `at` of a block on; rows from `filled` on are zero, or not written."""
        matrix, block, row, column = at
        base = builder.alloc_buffer((1,), "int32", scope="local")
        builder.buffer_store(base, (matrix * self.rows + block * self.block + row) * self.columns + column, [0])
        packed = builder.alloc_buffer((1,), "int32", scope="local")
        stored = (matrix * self.blocks + block) * self.columns + column
        builder.buffer_store(packed, stored * self.block + row, [0])

        def plain(index: int) -> Any:
            return base[0] + index * self.columns

        def blocked(index: int) -> Any:
            return packed[0] + index * self.block

        if self.kind == "unpack":
            vectors = [self.load(source, blocked(index)) for index in range(self.lanes)]
            for index, vector in enumerate(self.transposed(vectors)):
                self.store_row(target, plain(index), vector, row, index, filled)
            return
        vectors = [self.load_row(source, plain(index), row, index, filled) for index in range(self.lanes)]
        for index, vector in enumerate(self.transposed(vectors)):
            builder.buffer_store(target, vector, [self.lane(blocked(index))])

    def lane(self, start: Any) -> Any:
        """Return the places of a vector."""
        return tirx.Ramp(start, tirx.const(1, "int32"), self.lanes)

    def load(self, buffer: Any, start: Any) -> Any:
        """Load a vector."""
        return self.held(tirx.BufferLoad(buffer, [self.lane(start)]))

    def load_row(self, buffer: Any, start: Any, row: Any, index: int, filled: int) -> Any:
        """Load a row's vector, zeros behind the last one."""
        if filled == self.block:
            return self.load(buffer, start)
        zeros = tirx.Broadcast(tirx.const(0, buffer.dtype), self.lanes)
        loaded = tirx.BufferLoad(buffer, [self.lane(start)])
        return self.held(tirx.if_then_else(row + index < filled, loaded, zeros))

    def store_row(self, buffer: Any, start: Any, vector: Any, row: Any, index: int, filled: int) -> None:
        """Store a row's vector, unless it lies behind the last one."""
        if filled == self.block:
            builder.buffer_store(buffer, vector, [self.lane(start)])
            return
        with builder.If(row + index < filled), builder.Then():
            builder.buffer_store(buffer, vector, [self.lane(start)])

    def held(self, value: Any) -> Any:
        """Keep a vector in a register."""
        register = builder.alloc_buffer((self.lanes,), str(value.ty.dtype.with_lanes(1)), scope="local")
        builder.buffer_store(register, value, [self.lane(0)])
        return tirx.BufferLoad(register, [self.lane(0)])

    def transposed(self, vectors: list[Any]) -> list[Any]:
        """Exchange the halves of pairs of vectors: `lanes / 2` apart, then half of that, down to neighbours."""
        distance = self.lanes // 2
        while distance:
            moved = list(vectors)
            for index in range(self.lanes):
                if index & distance:
                    continue
                pair = [vectors[index], vectors[index + distance]]
                low = [lane if not lane & distance else self.lanes + lane - distance for lane in range(self.lanes)]
                moved[index] = self.held(tirx.Shuffle(pair, low))
                moved[index + distance] = self.held(tirx.Shuffle(pair, [lane + distance for lane in low]))
            vectors, distance = moved, distance // 2
        return vectors
