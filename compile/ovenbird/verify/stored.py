"""Arrays that lie in a file and are read when they are asked for: a segmenter's answers take more than the compiler.

    first, second = stored("random0", [{"logits": row}, {"logits": next_row}]), stored("random1", [{"logits": array}])
    first["logits"]                             # the rows of all pieces
    row_of(first, "logits", 1)
    Joined.of((first, second), "logits", True)  # the rows of all cases, one after the other

Large arrays are kept in pieces of one row, so that a row is read without the others.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.networks.network import ArrayForm
from ovenbird_runtime.tensors.arrays import Array

Answers = Mapping[str, Mapping[str, Array]]
"""By case and output."""

LARGE_ROW = 1 << 19
"""Bytes of a row from which rows lie, and are run, one at a time: those of a photograph of 224x224, in float32."""


@dataclass(frozen=True, eq=False)
class _Case(Mapping[str, Array]):
    """The arrays of a file whose names begin with the case's: each in pieces, numbered from 0, joined when read."""

    archive: Any
    name: str
    pieces: dict[str, int]

    def __getitem__(self, name: str) -> Array:
        each = list(self.each(name))
        return np.concatenate(each) if len(each) > 1 else each[0]

    def each(self, name: str) -> Iterator[Array]:
        """Yield the pieces."""
        for piece in range(self.pieces[name]):
            yield self.archive[_key(piece, self.name, name)]

    def form(self, name: str) -> ArrayForm:
        """Return an array's shape and dtype, of which nothing else is read."""
        forms = [_form(self.archive.zip, _key(piece, self.name, name)) for piece in range(self.pieces[name])]
        (shape, dtype), several = forms[0], len(forms) > 1
        return ((sum(one[0] for one, _ in forms), *shape[1:]) if several else shape), dtype

    def __iter__(self) -> Iterator[str]:
        return iter(self.pieces)

    def __len__(self) -> int:
        return len(self.pieces)


def _key(piece: int, case: str, name: str) -> str:
    return f"{piece}/{case}/{name}"


def _form(archive: zipfile.ZipFile, key: str) -> ArrayForm:
    with archive.open(f"{key}.npy") as file:
        np.lib.format.read_magic(file)  # 1.0: numpy's own headers of plain dtypes are short
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return shape, dtype


def write_cases(path: Path, cases: Mapping[str, Mapping[str, Any]]) -> None:
    """Write arrays by case and name."""
    with zipfile.ZipFile(path, "w") as archive:
        for case, arrays in cases.items():
            _write(archive, case, [arrays])


def _write(archive: zipfile.ZipFile, case: str, pieces: Iterable[Mapping[str, Any]]) -> None:
    """Write a case whose arrays come in pieces of some rows each."""
    written: dict[str, int] = {}
    for arrays in pieces:
        for name, given in arrays.items():
            array = np.asarray(given)
            for part in array if array.ndim and len(array) > 1 and array[0].nbytes >= LARGE_ROW else (None,):
                key = _key(written.setdefault(name, 0), case, name)
                written[name] += 1
                with archive.open(f"{key}.npy", "w", force_zip64=True) as file:
                    np.lib.format.write_array(file, array if part is None else part[None], allow_pickle=False)


def read_cases(path: Path) -> Answers:
    """Return the arrays of a file by case and name. They are read from it even when its folder is gone."""
    archive = np.load(path, allow_pickle=False)
    pieces: dict[str, dict[str, int]] = {}
    for key in archive.files:
        _, case, name = key.split("/", 2)
        found = pieces.setdefault(case, {})
        found[name] = found.get(name, 0) + 1
    return {case: _Case(archive, case, found) for case, found in pieces.items()}


def stored(case: str, pieces: Iterable[Mapping[str, Any]]) -> Mapping[str, Array]:
    """Put one case's arrays, which come in pieces of some rows each, into a file that ends with them."""
    with tempfile.TemporaryDirectory(prefix="ovenbird-") as folder:
        path = Path(folder) / "arrays.npz"
        with zipfile.ZipFile(path, "w") as archive:
            _write(archive, case, pieces)
        return read_cases(path)[case]


def form_of(case: Mapping[str, Array], name: str) -> ArrayForm:
    """Return an array's shape and dtype."""
    return case.form(name) if isinstance(case, _Case) else (case[name].shape, case[name].dtype)


def row_of(case: Mapping[str, Array], name: str, row: int) -> Array:
    """Return one row of an array."""
    return next(one for place, one in enumerate(_rows(case, name)) if place == row)


def _rows(case: Mapping[str, Array], name: str) -> Iterator[Array]:
    for piece in case.each(name) if isinstance(case, _Case) else (case[name],):
        yield from piece


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
        forms = [form_of(case, name) for case in cases]
        (shape, dtype), count = forms[0], sum(shape[0] for shape, _ in forms) if batched else len(cases)
        return cls(cases, name, batched, (count, *(shape[1:] if batched else shape)), dtype)

    def __iter__(self) -> Iterator[Array]:
        for case in self.cases:
            yield from _rows(case, self.name) if self.batched else (case[self.name],)
