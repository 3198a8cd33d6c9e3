"""What reaches the programs of a model that writes texts: recorded while its framework writes those of pictures.

    found = reach(model, pictures)               # pictures [1, 3, H, W], as the first program takes them
    found.rows["step"][0]["token"]               # a row's inputs: its states are those of a real text
    found.texts[0]                               # the framework's own tokens, (101, 1037, 4937, ...)

Numbers drawn at random are no test of a program in whole numbers: its ranges hold what it was calibrated on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ovenbird.networks.composite import Composite
from ovenbird.networks.network import Network
from ovenbird.networks.writing import Scribe
from ovenbird.verify.cases import LEAST_ROWS, Case
from ovenbird_runtime.manifest.generation import TextLoop
from ovenbird_runtime.tensors.arrays import Array, Arrays

TOKENS = 20
"""Of each text."""
ROWS = 24
"""Of each program, about: states of a captioner take ten megabytes each."""


@dataclass(frozen=True)
class Reached:
    """Pictures, what their texts are, and rows that each program of the loop was given for them."""

    loop: TextLoop
    pictures: list[Array]
    texts: list[tuple[int, ...]]
    rows: dict[str, list[Arrays]]

    def cases(self, program: str, batch_sizes: Sequence[int]) -> list[Case]:
        """Return a program's rows as cases: one for every compiled batch size, and until all rows were taken."""
        rows = self.rows[program]
        sizes = list(batch_sizes)
        while sum(sizes) < max(len(rows), LEAST_ROWS):
            sizes.append(sizes[-1])
        found, at = [], 0
        for index, size in enumerate(sizes):
            chosen = [rows[(at + place) % len(rows)] for place in range(size)]
            inputs = {name: np.concatenate([row[name] for row in chosen]) for name in chosen[0]}
            found.append(Case(f"reached{index}", inputs, photographs=True))
            at += size
        return found


def reach(model: Composite, pictures: Sequence[Array]) -> Reached:
    """Let the framework of a model that has a loop write the texts of pictures."""
    assert model.loop is not None
    stride = max(TOKENS * len(pictures) // ROWS, 1)
    recorders = {name: _Recorder(model.programs[name]) for name in model.loop.once}
    recorders[model.loop.step] = _Recorder(model.programs[model.loop.step], stride)
    scribe = Scribe(model, recorders)
    texts = [scribe.write(picture, TOKENS) for picture in pictures]
    return Reached(model.loop, list(pictures), texts, {name: one.rows for name, one in recorders.items()})


class _Recorder:
    """Answers as the framework does, and keeps what it was given: one of `stride` times."""

    def __init__(self, network: Network, stride: int = 1) -> None:
        self._network, self._stride = network, stride
        self._calls = 0
        self.rows: list[Arrays] = []

    def __call__(self, inputs: Arrays) -> Arrays:
        if self._calls % self._stride == 0:
            self.rows.append({name: np.array(array) for name, array in inputs.items()})
        self._calls += 1
        return self._network.reference(inputs)
