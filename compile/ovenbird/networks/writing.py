"""The texts of a model of several programs, by the runtime's own loop, whatever answers its programs.

    scribe = Scribe(model, {name: network.reference for name, network in model.programs.items()})
    scribe.write(picture, tokens=20)             # (101, 1037, 4937, ...), greedily; a picture [1, 3, H, W]

So calibration and verification see what really reaches each program: its states are those of a real text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ovenbird.networks.composite import Composite
from ovenbird.networks.sizes import program_of
from ovenbird_runtime.generation.generator import Generator, run_all
from ovenbird_runtime.generation.search import SearchSettings
from ovenbird_runtime.generation.text import TextRequest
from ovenbird_runtime.manifest.generation import Greedy
from ovenbird_runtime.tensors.arrays import Array, Arrays

RowAnswer = Callable[[Arrays], Arrays]
"""One row's named inputs to named outputs."""


class Scribe:
    """Writes texts of a model with a loop, one after the other."""

    def __init__(self, model: Composite, programs: Mapping[str, RowAnswer]) -> None:
        """`programs`: what answers each program of the loop."""
        assert model.loop is not None
        self._loop = model.loop
        described = {name: program_of(network) for name, network in model.programs.items()}
        self._generator = Generator(_Rows(programs), described, model.states, model.loop)

    def write(self, picture: Array, tokens: int) -> tuple[int, ...]:
        """Return the tokens of a picture [1, ...], those of the begin first: `tokens` more at most."""
        length = min(self._loop.max_length, len(self._loop.begin) + tokens)
        settings = SearchSettings(self._loop.end, length, self._loop.no_repeat_ngram_size)
        request = TextRequest(self._loop.begin, Greedy(), settings)
        (found,) = run_all(self._generator, self._generator.prepare(picture), request)
        return found


class _Rows:
    """What the loop asks of an engine, a row at a time."""

    def __init__(self, programs: Mapping[str, RowAnswer]) -> None:
        self._programs = programs

    def batches_of(self, program: str) -> list[int]:
        return [1]

    def run(self, count: int, inputs: Arrays, checked: bool, program: str) -> Arrays:
        assert count == 1
        return self._programs[program](inputs)

    def run_held(self, program: str, batch: int, arrays: Arrays, held: Arrays) -> Arrays:
        assert batch == 1
        return self._programs[program]({**arrays, **held})
