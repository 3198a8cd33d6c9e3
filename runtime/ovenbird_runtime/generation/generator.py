"""Texts in flight: begun when they come, all of them a token further at each step, whatever their positions.

    generator = Generator(engine, programs, states, loop, slots=64)
    begun = generator.begin(prepared, request)       # `prepared` is one of generator.prepare(pictures)
    while begun in generator.texts:
        generator.step()                             # one call of the step program for up to a batch of sequences
    begun.search.result

Sequences lie in banks of as many slots as the largest batch that the step was compiled for: a step reads the weights
once for each bank. A text takes one slot, with beams as many as it has of them; those are kept free for it from its
begin. It joins at the next step and leaves at its last, and no other waits for it.

The invariant: **the first `used` slots of a bank are owned, each by one text, which knows them; no others are.** It is
checked by `tests/unit/runtime/generation/test_generator.py` after every step of random joins and leaves. A generator
belongs to one thread at a time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

import numpy as np

from ..dataclass import dataclass
from ..errors import EngineCallFailed, WrongOption
from ..manifest.generation import KeptState, TextLoop, uses_of
from ..manifest.program import Program
from ..tensors.arrays import Array
from .search import TokenSearch, search_for
from .states import StateBank
from .text import TextRequest

Prepared = Mapping[str, Array]
"""One picture's rows of states, by state, as the programs that run once gave them."""
PORTION = 8
"""Pictures whose states are made at one time: what programs return for them lies in memory twice."""


@dataclass(eq=False)
class BegunText:
    """One text in flight."""

    request: TextRequest
    search: TokenSearch
    bank: _Bank
    slots: list[int] = field(default_factory=list)
    """Those of its sequences, in the order of the search's rows."""
    alike: dict[str, int] = field(default_factory=dict)
    """How many rows of each state all its sequences share: those of the picture."""
    failure: EngineCallFailed | None = None
    """Why it cannot go on: its numbers overflowed."""


class _Bank:
    """Slots with their owners."""

    def __init__(self, states: Mapping[str, KeptState], slots: int) -> None:
        self.states = StateBank(states, slots)
        self.owners: list[BegunText] = []
        """By slot, the used ones."""
        self.texts: list[BegunText] = []
        self.held: dict[int, dict[str, Array]] = {}
        """The inputs of the step program, by batch."""

    @property
    def free(self) -> int:
        """Slots that nobody has and nobody will."""
        return self.states.slots - sum(text.request.width for text in self.texts)

    def take(self, text: BegunText) -> int:
        slot = self.states.take()
        self.owners.append(text)
        text.slots.append(slot)
        return slot

    def drop(self, text: BegunText) -> None:
        """Free all slots of a text; owners learn of sequences that move into the holes.

        What overflowed is cleared: a program masks rows by a weight of zero, which NaN survives.
        """
        self.texts.remove(text)
        if text.failure is not None:
            for slot in text.slots:
                self.states.clear(slot)
        for slot in sorted(text.slots, reverse=True):
            last = self.states.drop(slot)
            mover = self.owners.pop()
            if last != slot:
                mover.slots[mover.slots.index(last)] = slot
                self.owners[slot] = mover
        text.slots.clear()


class Generator:
    """Texts of one model, run by its engine."""

    def __init__(
        self,
        engine: Any,
        programs: Mapping[str, Program],
        states: Mapping[str, KeptState],
        loop: TextLoop,
        slots: int = 1,
    ) -> None:
        """Begin without texts; memory for states is taken when the first come. `slots`: sequences at a time at most; a
        text that has more of its own is written alone.
        """
        self._engine, self._programs, self._states, self.loop = engine, programs, states, loop
        self._batches: list[int] = engine.batches_of(loop.step)
        self.widest = self._batches[-1]
        """Sequences of one text at most: those of a bank."""
        self._slots, self._count = slots, -(-slots // self.widest)
        self._banks: list[_Bank] = []
        self._reads = uses_of(states, loop.step, "reads")
        self._writes = uses_of(states, loop.step, "writes")

    @property
    def texts(self) -> list[BegunText]:
        """All texts in flight."""
        return [text for bank in self._banks for text in bank.texts]

    def has_room(self, request: TextRequest) -> bool:
        """Return whether a text can begin now."""
        taken = sum(text.request.width for text in self.texts)
        if taken and taken + request.width > self._slots:
            return False
        wide = len(self._banks) < self._count and request.width <= self.widest
        return wide or any(bank.free >= request.width for bank in self._banks)

    def prepare(self, pictures: Array) -> list[Prepared]:
        """Run the programs that a picture needs once, on pictures [N, ...] as the first takes them.

        Raises EngineError.
        """
        found: list[Prepared] = []
        for start in range(0, len(pictures), PORTION):
            found += self._prepare(pictures[start : start + PORTION])
        return found

    def _prepare(self, pictures: Array) -> list[Prepared]:
        count = len(pictures)
        values: dict[str, Array] = {self._programs[self.loop.once[0]].inputs[0].name: pictures}
        rows: dict[str, Array] = {}
        for name in self.loop.once:
            inputs = {spec.name: values[spec.name] for spec in self._programs[name].inputs}
            outputs: dict[str, Array] = self._engine.run(count, inputs, False, name)
            written = uses_of(self._states, name, "writes")
            values |= {key: array for key, array in outputs.items() if key not in written}
            rows |= {state: outputs[key] for key, state in written.items()}
        return [{state: array[row] for state, array in rows.items()} for row in range(count)]

    def begin(self, prepared: Prepared, request: TextRequest) -> BegunText:
        """Let a text begin at the next step; there must be room. Raises WrongOption where there can never be."""
        if request.width > self.widest:
            raise WrongOption(f"{request.width} beams, the model was compiled for {self.widest} sequences at a time")
        bank = next((bank for bank in self._banks if bank.free >= request.width), None)
        if bank is None:
            assert len(self._banks) < self._count, "begin where there is no room"
            bank = _Bank(self._states, self.widest)
            self._banks.append(bank)
        text = BegunText(request, search_for(request.kind, request.settings, request.prompt), bank)
        bank.texts.append(text)
        slot = bank.take(text)
        for state, rows in prepared.items():
            bank.states.append(state, slot, rows)
        text.alike = {name: bank.states.rows(name, slot) for name in self._states}
        return text

    def drop(self, text: BegunText) -> None:
        """Let go of a text that is not to go on, or that is done already."""
        if text in text.bank.texts:
            text.bank.drop(text)

    def step(self) -> list[BegunText]:
        """Take all texts one token further; return those that are done, or have failed, which have left.

        Raises EngineError.
        """
        done = []
        for bank in self._banks:
            if bank.texts:
                outputs = self._run(bank)
                for text in bank.texts:
                    try:
                        self._advance(bank, text, outputs)
                    except EngineCallFailed as error:
                        text.failure = error
                over = [text for text in bank.texts if text.search.done or text.failure is not None]
                for text in over:  # behind all others: those that move into the holes have other rows then
                    bank.drop(text)
                done += over
        return done

    def _run(self, bank: _Bank) -> Mapping[str, Array]:
        """Run the step program on all sequences of a bank."""
        batch = next(size for size in self._batches if size >= bank.states.used)
        if batch not in bank.held:
            bank.held[batch] = {tensor: bank.states.array(state)[:batch] for tensor, state in self._reads.items()}
        specs = {spec.name: spec for spec in self._programs[self.loop.step].inputs}
        tokens, positions = (np.zeros(batch, specs[name].dtype) for name in (self.loop.token, self.loop.position))
        for text in bank.texts:
            tokens[text.slots] = text.search.tokens
            positions[text.slots] = text.search.position
        arrays = {self.loop.token: tokens, self.loop.position: positions}
        outputs: Mapping[str, Array] = self._engine.run_held(self.loop.step, batch, arrays, bank.held[batch])
        return outputs

    def _advance(self, bank: _Bank, text: BegunText, outputs: Mapping[str, Array]) -> None:
        """Put a text's new rows behind its others, and let its search choose."""
        for tensor, state in self._writes.items():
            for slot in text.slots:
                bank.states.append(state, slot, outputs[tensor][slot])
        parents = text.search.advance(outputs[self.loop.logits][text.slots])
        if text.search.done or len(parents) == 1:
            return
        while len(text.slots) < len(parents):  # all beams begin alike
            bank.states.copy(text.slots[0], bank.take(text))
        bank.states.reorder(text.slots, parents, text.alike)


def run_all(generator: Generator, prepared: Sequence[Prepared], request: TextRequest) -> list[tuple[int, ...]]:
    """Return the tokens of a text for each prepared picture, as many at a time as there is room for.

    Raises EngineError.
    """
    waiting = list(enumerate(prepared))[::-1]
    places: dict[BegunText, int] = {}
    found: dict[int, tuple[int, ...]] = {}
    try:
        while waiting or places:
            while waiting and generator.has_room(request):
                place, rows = waiting.pop()
                places[generator.begin(rows, request)] = place
            for text in generator.step():
                if text.failure is not None:
                    raise text.failure
                found[places.pop(text)] = text.search.result
    finally:
        for text in places:  # what an error or Ctrl-C left
            generator.drop(text)
    return [found[place] for place in range(len(prepared))]
