"""Rows put together from pieces of other rows, each piece a copy of neighbouring elements.

Example: a border of one pixel, reflected, is for each row of 128: `Piece(0, 1, 1), Piece(0, 0, 128), Piece(0, 126, 1)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tvm import tirx
from tvm.script.ir_builder import tirx as builder

from ovenbird.operators.writing.loops import spread

MANY_ROWS = 16
"""From so many rows on threads share rows; of fewer each piece is cut."""

CUT = 4096
"""Elements that one thread copies of a long piece."""


class Piece(NamedTuple):
    """`length` elements of the row of source number `source`, from `start` on."""

    source: int
    start: int
    length: int


def write_rows(sources: Sequence[tuple[Any, int]], target: Any, rows: int, pieces: Sequence[Piece]) -> None:
    """Write the loops that fill `rows` rows of the target with pieces; a source is a buffer and its row's length."""
    total = sum(piece.length for piece in pieces)

    def copy(row: Any, piece: Piece, place: int, begin: Any, count: int) -> None:
        with builder.serial(count) as step:
            buffer, length = sources[piece.source]
            value = buffer[row * length + piece.start + begin + step]
            builder.buffer_store(target, value, [row * total + place + begin + step])

    places = [sum(piece.length for piece in pieces[:index]) for index in range(len(pieces))]
    if rows >= MANY_ROWS:
        with spread(rows, rows * total) as row:
            for piece, place in zip(pieces, places, strict=True):
                copy(row, piece, place, 0, piece.length)
        return
    for piece, place in zip(pieces, places, strict=True):
        cuts, count = -(-piece.length // CUT), min(piece.length, CUT)
        with spread(rows * cuts, rows * piece.length) as task:
            copy(task // cuts, piece, place, tirx.min(task % cuts * CUT, piece.length - count), count)
