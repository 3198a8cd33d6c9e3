"""Arrays that lie in a file and are read when they are asked for: a segmenter's answers take more than the compiler.

first, second = stored("random0", {"logits": array}), stored("random1", {"logits": other})
first["logits"]
Joined.of((first, second), "logits", True)      # the rows of all cases, one after the other
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird_runtime.tensors.arrays import Array

Answers = Mapping[str, Mapping[str, Array]]
"""By case and output."""


@dataclass(frozen=True, eq=False)
class _Case(Mapping[str, Array]):
    """The arrays of a file whose names begin with the case's."""

    archive: Any
    name: str

    def __getitem__(self, name: str) -> Array:
        found: Array = self.archive[f"{self.name}/{name}"]
        return found

    def __iter__(self) -> Iterator[str]:
        for key in self.archive.files:
            case, _, name = key.partition("/")
            if case == self.name:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)


def write_cases(path: Path, cases: Mapping[str, Mapping[str, Any]]) -> None:
    """Write arrays by case and name."""
    flat: dict[str, Any] = {f"{case}/{name}": array for case, some in cases.items() for name, array in some.items()}
    np.savez(path, **flat)


def read_cases(path: Path) -> Answers:
    """Return the arrays of a file by case and name. They are read from it even when its folder is gone."""
    archive = np.load(path, allow_pickle=False)
    return {case: _Case(archive, case) for case in dict.fromkeys(key.partition("/")[0] for key in archive.files)}


def stored(case: str, arrays: Mapping[str, Any]) -> Mapping[str, Array]:
    """Put one case's arrays into a file that ends with them."""
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as folder:
        path = Path(folder) / "arrays.npz"
        write_cases(path, {case: arrays})
        return read_cases(path)[case]


@dataclass(frozen=True)
class Joined:
    """The rows of an output over several cases; a case without a batch is one row."""

    cases: Sequence[Mapping[str, Array]]
    name: str
    batched: bool
    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, cases: Sequence[Mapping[str, Array]], name: str, batched: bool) -> Joined:
        """Join arrays that differ in their first side at most, and that only where they have a batch."""
        shapes = []
        for case in cases:
            array = case[name]
            shapes.append(array.shape)
        rows = sum(shape[0] for shape in shapes) if batched else len(cases)
        return cls(cases, name, batched, (rows, *(shapes[0][1:] if batched else shapes[0])), array.dtype)

    def __iter__(self) -> Iterator[Array]:
        for case in self.cases:
            array = case[self.name]
            yield from array if self.batched else (array,)
