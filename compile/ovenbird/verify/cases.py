"""The inputs that an artifact is verified on: photographs where the network eats images, then random rows.

    cases = make_cases(network, batch_sizes=(1, 8), photographs=own_photographs())

They are to make a network's answers differ, as a fault shows in what an answer owes to its input. White noise alone
does not: a network that averages over places answers it the same each time. So rows take turns at `PATTERNS`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ovenbird.networks.network import Network
from ovenbird.verify.stored import Answers, Joined, form_of, row_of
from ovenbird_runtime.limits import MAX_GOLDEN_BYTES
from ovenbird_runtime.manifest.answers import Boxes, Ctc
from ovenbird_runtime.manifest.manifest import TensorSpec
from ovenbird_runtime.manifest.rows import numbers_of, parts_of
from ovenbird_runtime.tensors.arrays import Array, Arrays

RANDOM_SEED = 20_15
LEAST_ROWS = 8
"""Rows at least, over all cases; of them random, one for each of `PATTERNS` at least."""
MAP_NUMBERS = 1 << 16
"""Where each answer has as many numbers in a row, a row for each of `PATTERNS` shows as much, and takes less time."""
MAP_SIDE = 8
"""Arrays whose last two sides are at least as long have places, as images do."""
PATTERNS = ((1, 1.0), (16, 1.0), (4, 1.0), (1, 0.25))
"""What rows look like in turn: patches a side (1: each place is drawn by itself), and contrast about a level."""
GRAIN = 0.1
"""Share of noise in patches: equal numbers would let `topk` or `sort` answer in any order."""


@dataclass(frozen=True)
class Case:
    """Named inputs, and whether they are photographs, or what other programs made of some."""

    name: str
    inputs: Arrays
    photographs: bool = False


def make_cases(network: Network, batch_sizes: Sequence[int], photographs: Sequence[Path] = ()) -> list[Case]:
    """Return the cases: the photographs, then random rows for every compiled batch size; `LEAST_ROWS` at least."""
    cases, shown = [], 0
    image = network.image_input
    if image is not None and network.batched and network.default_pipeline is not None and photographs:
        from ovenbird.verify.photographs import drawn_lines, read_photographs

        pipeline = network.pipelines[network.default_pipeline]
        lines = any(isinstance(step, Ctc) for step in network.postprocess)
        pixels = drawn_lines(pipeline) if lines else read_photographs(photographs, pipeline)
        cases.append(Case("photographs", {image.name: pixels}, photographs=True))
        shown = len(pixels)
    random = np.random.default_rng(RANDOM_SEED)
    sizes = list(batch_sizes) if network.batched else [1]
    while sum(sizes) < _least_rows(network, shown):
        sizes.append(sizes[-1])
    row = 0
    for index, size in enumerate(sizes):
        inputs: Arrays = {}
        for spec, example in zip(network.inputs, network.examples(size).values(), strict=True):
            if spec.batched:
                rows = [random_like(one, random, row + place) for place, one in enumerate(example)]
                inputs[spec.name] = np.stack(rows)
            else:
                inputs[spec.name] = random_like(example, random, row)
        cases.append(Case(f"random{index}", inputs))
        row += size
    return cases


def enough(network: Network, photographs: Sequence[Path]) -> Sequence[Path]:
    """Return as many of the photographs as answers need to be compared on: one where they are maps."""
    return photographs[:1] if _gives_maps(network) else photographs


def _least_rows(network: Network, shown: int) -> int:
    """Return how many rows are random at least, with so many photographs."""
    if any(isinstance(step, Boxes) for step in network.postprocess):
        return 2  # each candidate of an image is a row
    return len(PATTERNS) if _gives_maps(network) else max(len(PATTERNS), LEAST_ROWS - shown)


def _gives_maps(network: Network) -> bool:
    """Return whether each answer says as much as many rows of other networks."""
    numbers = [math.prod(dim for dim in spec.shape if isinstance(dim, int)) for spec in network.outputs]
    return min(numbers) >= MAP_NUMBERS


def random_like(example: Any, random: np.random.Generator, row: int = 0) -> Any:
    """Draw an array like `example`: whole numbers of its own (ids stay valid), others between two of its own.

    An example that is constant, or nearly, says nothing about its range: then the numbers are standard normal.
    """
    if example.size == 0:
        return example
    values = np.unique(example)
    if example.dtype.kind != "f":
        return random.choice(values, size=example.shape).astype(example.dtype)
    patches, contrast = PATTERNS[row % len(PATTERNS)]

    def draw(shape: tuple[int, ...]) -> Any:
        if len(values) <= 2:
            return random.standard_normal(shape)
        # not the values themselves, some of which would be equal
        one, two = (random.choice(values, size=shape).astype(np.float64) for _ in range(2))
        return one + random.random(shape) * (two - one)

    drawn, sides = draw(example.shape), example.shape[-2:]
    if patches > 1 and len(sides) == 2 and min(sides) >= MAP_SIDE:
        blocks = [-(-side // patches) for side in sides]
        coarse = draw((*example.shape[:-2], *(-(-side // block) for side, block in zip(sides, blocks, strict=True))))
        for axis, block in zip((-2, -1), blocks, strict=True):
            coarse = np.repeat(coarse, block, axis)
        drawn = GRAIN * drawn + (1 - GRAIN) * coarse[..., : sides[0], : sides[1]]
    if contrast < 1.0:
        drawn = draw(()) * (1 - contrast) + contrast * drawn
    return drawn.astype(example.dtype)


Pick = tuple[Case, int]
"""A case, and a row of it."""


def choose_golden(network: Network, cases: Sequence[Case], references: Answers) -> list[Pick]:
    """Choose two inputs for `selftest`: the first, and the one whose right answers differ most from its.

    Only one where both would take more than the half of what golden outputs may.
    """
    if network.batched and not all(spec.batched for spec in network.inputs):  # what rows share is one case's
        cases = [max(cases, key=lambda case: _rows(network, case))]
    picks = [(case, row) for case in cases for row in range(_rows(network, case))]
    distance = np.zeros(len(picks))
    for spec in network.outputs:
        rows = Joined.of([references[case.name] for case in cases], spec.name, network.batched)
        parts = ((row, part) for row in rows for part in parts_of(row))
        size = max((float(np.abs(numbers_of(row, 1.0, part)[0]).max(initial=0.0)) for row, part in parts), default=0.0)
        first: Any = None
        for place, row in enumerate(rows):
            first = row if first is None else first
            for part in parts_of(row):
                moved = numbers_of(row, size or 1.0, part)[0] - numbers_of(first, size or 1.0, part)[0]
                distance[place] += np.square(moved).sum() / row.size
    chosen = [picks[0], picks[int(distance.argmax())]] if distance.any() else picks[:2]
    inputs = {case.name: case.inputs for case in cases}
    arrays = [take(network, spec, chosen, inputs) for spec in network.inputs]
    arrays += [take(network, spec, chosen, references) for spec in network.outputs]
    return chosen if sum(array.nbytes for array in arrays) <= MAX_GOLDEN_BYTES // 2 else chosen[:1]


def take(network: Network, spec: TensorSpec, picks: Sequence[Pick], arrays: Answers) -> Array:
    """Return the picked rows of one tensor; where the network has no batch, the picked cases along an axis more."""
    rows = picked(network, spec, picks, arrays)
    if not isinstance(rows, Picked):
        return rows
    found: Array = np.empty(rows.shape, rows.dtype)
    for place, row in enumerate(rows):
        found[place] = row
    return found


def picked(network: Network, spec: TensorSpec, picks: Sequence[Pick], arrays: Answers) -> Picked | Array:
    """Return what `take` does, read when it is asked for where it has rows; what rows share is whole."""
    if network.batched and not spec.batched:
        return arrays[picks[0][0].name][spec.name]
    return Picked.of(spec, picks, arrays)


@dataclass(frozen=True)
class Picked:
    """The picked rows of one tensor, read when they are asked for; of one without a batch, the picked cases."""

    spec: TensorSpec
    picks: Sequence[Pick]
    arrays: Answers
    shape: tuple[int, ...]
    dtype: Any

    @classmethod
    def of(cls, spec: TensorSpec, picks: Sequence[Pick], arrays: Answers) -> Picked:
        """Pick rows of cases that differ in their number of rows at most."""
        shape, dtype = form_of(arrays[picks[0][0].name], spec.name)
        return cls(spec, picks, arrays, (len(picks), *shape[int(spec.batched) :]), dtype)

    def __iter__(self) -> Iterator[Array]:
        for case, row in self.picks:
            arrays, name = self.arrays[case.name], self.spec.name
            yield row_of(arrays, name, row) if self.spec.batched else arrays[name]


def _rows(network: Network, case: Case) -> int:
    return max((case.inputs[spec.name].shape[0] for spec in network.inputs if spec.batched), default=1)
