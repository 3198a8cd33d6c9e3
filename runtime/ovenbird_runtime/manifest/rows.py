"""Answers to several inputs, read row by row and in parts: a segmenter's are gigabytes, and are compared in float64."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from ..tensors.arrays import Array

PART = 1 << 18
"""How many numbers of a row are in float64 at a time."""


class AnswerRows(Protocol):
    """Answers to several inputs, one row each, read anew on every turn: an array, or what lies elsewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows, and each one's shape."""

    @property
    def dtype(self) -> Any:
        """Of every row."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows."""


def parts_of(row: Array) -> Iterator[slice]:
    """Yield the parts of a row along its first side, some `PART` numbers each: a segmenter's is tens of megabytes."""
    first = row.shape[0] if row.ndim else 1
    step = max(1, PART * first // max(row.size, 1))
    for start in range(0, first, step):
        yield slice(start, start + step)


def numbers_of(row: Array, unit: float = 1.0, part: slice = slice(None)) -> tuple[Array, Array]:
    """Return a part of a row in float64, of one dimension at least, by `unit`; zero where it is not finite; and where
    it is.
    """
    import numpy as np

    numbers = np.array(row[part] if row.ndim else row, np.float64, ndmin=1)
    finite = np.isfinite(numbers)
    if not finite.all():
        numbers[~finite] = 0.0
    numbers /= unit
    return numbers, finite
