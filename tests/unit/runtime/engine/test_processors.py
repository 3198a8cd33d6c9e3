"""No interleaving keeps a model from its turn: a walk through every state of the processors' owner.

The real `Processors` runs, single-stepped: its condition variable is one that records who waits and who was woken, its
clock is ours. A state is what each thread does, what each model has had, who is first in line, and how many turns each
thread is still to take; from each, every event that can happen next is tried, whatever is promised: each model that
waits, or none, is the one whose promise presses.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ovenbird_runtime.engine import processors
from ovenbird_runtime.engine.processors import Processors, ProcessorShare, Turn
from ovenbird_runtime.limits import MAX_TURN_SECONDS
from support.stepping import Steps, Waits

COUNT = 2
THREADS = (("wide", 0, 2, 3.0), ("lane 1", 1, 1, 1.0), ("lane 2", 1, 1, 1.0), ("other", 2, 2, 2.0))
"""Each thread's name, its model, how many threads its code takes, and for how many seconds."""
TURNS = (2, 1, 1, 1)


@dataclass(frozen=True)
class Running:
    """What one thread does: "idle", "waits", "awake" (it was woken), "runs" or "hangs"; when it came; what is left."""

    does: str = "idle"
    place: int = 0
    left: int = 0


@dataclass(frozen=True)
class State:
    threads: tuple[Running, ...] = tuple(Running(left=turns) for turns in TURNS)
    had: tuple[float, ...] = (0.0, 0.0, 0.0)
    least: float = 0.0
    first: int | None = None

    def doing(self, *what: str) -> list[int]:
        return [number for number, one in enumerate(self.threads) if one.does in what]


class Step:
    """The real object, put into a state, for one event."""

    def __init__(self, state: State, pressing: int | None = None) -> None:
        self.state, self.pressing, self.now, self.steps = state, pressing, 100.0, Steps()
        self.owner = Processors(COUNT, lambda: self.now)
        self._choose = self.owner._choose
        self.owner._choose, self.owner._pressing = self.choose, self.press  # type: ignore[method-assign]
        self.owner._changed = self.steps  # type: ignore[assignment]
        self.owner._least = state.least
        self.owner._came = max((one.place for one in state.threads), default=0)
        self.shares = [ProcessorShare(self.owner) for _ in state.had]
        self.turns: dict[int, Turn] = {}
        for share, had in zip(self.shares, state.had, strict=True):
            share.had = had
        for number in state.doing("waits", "awake", "runs", "hangs"):
            _, model, threads, _ = THREADS[number]
            one, share = state.threads[number], self.shares[model]
            share.turns += 1
            began = self.now - (MAX_TURN_SECONDS if one.does == "hangs" else 0.0)
            self.turns[number] = turn = Turn(share, threads, one.place, self.now, began)
            (self.owner._waiting if one.does in ("waits", "awake") else self.owner._running).append(turn)

        self.owner._waiting.sort(key=lambda turn: turn.place)
        self.owner._first = None if state.first is None else self.turns[state.first]

    def after(self, number: int, **changes: Any) -> State:
        threads, first = list(self.state.threads), self.owner._first
        threads[number] = replace(threads[number], **changes)
        if self.steps.woken:
            threads = [replace(one, does="awake") if one.does == "waits" else one for one in threads]
        base = min(share.had for share in self.shares)
        had = tuple(share.had - base for share in self.shares)
        chosen = next((key for key, turn in self.turns.items() if turn is first), number) if first else None
        return State(renumbered(threads), had, max(0.0, self.owner._least - base), chosen)

    def press(self, fair: Turn) -> Turn | None:
        if self.pressing is None:
            return None
        return next((one for one in self.owner._waiting if one.share is self.shares[self.pressing]), None)

    def choose(self) -> None:
        """See that first is whose promise presses, else the model that has had least."""
        self._choose()
        waiting, first = self.owner._waiting, self.owner._first
        shares = {turn.share for turn in waiting}
        pressing = self.shares[self.pressing] if self.pressing is not None else None
        if pressing in shares:
            assert first is not None, "nobody is first"
            assert first.share is pressing, "a model whose promise presses is passed over"
        elif waiting:
            assert first is not None, "nobody is first"
            assert all(first.share.had <= share.had for share in shares), "a model that had less is passed over"


def renumbered(threads: list[Running]) -> tuple[Running, ...]:
    """Return the threads with places that say the order alone, so that equal states are equal."""
    order = sorted(one.place for one in threads if one.does in ("waits", "awake"))
    return tuple(replace(one, place=order.index(one.place) + 1 if one.place in order else 0) for one in threads)


def next_states(state: State) -> Iterator[tuple[str, State]]:
    """Yield every event that can happen, and the state after it, whoever's promise presses."""
    waiting = {THREADS[number][1] for number in state.doing("waits", "awake")}
    for number, one in enumerate(state.threads):
        coming = {THREADS[number][1]} if one.does == "idle" and one.left else set()
        for pressing in (None, *(waiting | coming)) if waiting else (None,):
            yield from next_pressed(state, number, pressing)


def next_pressed(state: State, number: int, pressing: int | None) -> Iterator[tuple[str, State]]:
    """Yield what one thread can do, where a model's promise presses."""
    name, model, threads, seconds = THREADS[number]
    one = state.threads[number]
    if one.does == "idle" and one.left:
        step = Step(state, pressing)
        try:
            step.owner.begin(step.shares[model], threads)
        except Waits:
            place = step.owner._waiting[-1].place
            yield f"{name} comes", step.after(number, does="waits", place=place, left=one.left - 1)
        else:
            yield f"{name} begins at once", step.after(number, does="runs", left=one.left - 1)
    elif one.does == "awake":
        step = Step(state, pressing)
        if not step.owner._may_begin(step.turns[number]):
            yield f"{name} waits on", step.after(number, does="waits")
            return
        step.owner._start(step.turns[number])
        yield f"{name} begins", step.after(number, does="runs")
    elif one.does in ("runs", "hangs"):
        step = Step(state, pressing)
        step.now += seconds
        step.owner.end(step.turns[number])
        yield f"{name} ends", step.after(number, does="idle")
    if one.does == "runs" and not state.doing("hangs") and name != "lane 2":  # which is as the other one
        awake = [replace(other, does="awake") if other.does == "waits" else other for other in state.threads]
        awake[number] = replace(one, does="hangs")  # and those who wait look again, by their own clocks
        yield f"{name} hangs", replace(state, threads=tuple(awake))


def check(state: State) -> None:
    running = state.doing("runs")
    models = {THREADS[number][1] for number in running}
    used = sum(THREADS[number][2] for number in running)
    assert used <= COUNT or len(models) == 1, "models share processors that are too few for both"
    step = Step(state)
    for number in state.doing("waits"):
        assert not step.owner._may_begin(step.turns[number]), "one who may begin is not woken"
    if state.doing("waits", "awake") and not running:
        ready = [number for number in state.doing("awake") if step.owner._may_begin(step.turns[number])]
        assert ready, "somebody waits while nobody runs"


def walk() -> dict[State, tuple[State, str] | None]:
    """Return every state that can be reached, and by which event from which other one."""
    came_from: dict[State, tuple[State, str] | None] = {State(): None}
    todo = [State()]
    while todo:
        state = todo.pop()
        try:
            check(state)
            for event, following in next_states(state):
                if following not in came_from:
                    came_from[following] = (state, event)
                    todo.append(following)
        except AssertionError as error:
            pytest.fail(f"{error}: {' | '.join(path_to(state, came_from))} -> {state}")
    return came_from


def path_to(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    path = []
    while (step := came_from[state]) is not None:
        state, event = step
        path.append(event)
    return path[::-1]


@pytest.fixture(autouse=True)
def long_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of the walk are whole seconds, so that sums are exact; the first counts for less than it takes."""
    monkeypatch.setattr(processors, "CALL_SECONDS", 2.0)


def test_nobody_waits_for_ever_and_models_do_not_meet() -> None:
    states = walk()
    assert len(states) > 1_000
    assert any(len(state.doing("runs")) == 2 for state in states), "lanes of one model never ran side by side"
    assert any(state.doing("hangs") and state.doing("runs") for state in states)
    assert any(len(state.doing("waits", "awake")) == 3 for state in states)


@pytest.mark.parametrize(
    "fault", ["end wakes nobody", "start wakes nobody", "first come, first served", "each decides when it wakes up"]
)
def test_the_walk_finds_faults(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "first come, first served":

        def first_come(self: Processors) -> None:
            self._first = self._waiting[0] if self._waiting else None

        monkeypatch.setattr(Processors, "_choose", first_come)
    elif fault == "each decides when it wakes up":
        may_begin = Processors._may_begin

        def decide(self: Processors, turn: Turn) -> bool:
            self._choose()
            self._changed.woken = False  # type: ignore[attr-defined]
            return may_begin(self, turn)

        monkeypatch.setattr(Processors, "_may_begin", decide)
    else:
        name = "end" if fault.startswith("end") else "_start"
        method = getattr(Processors, name)

        def quiet(self: Processors, *arguments: Any) -> Any:
            result = method(self, *arguments)
            self._changed.woken = False  # type: ignore[attr-defined]
            return result

        monkeypatch.setattr(Processors, name, quiet)
    with pytest.raises(pytest.fail.Exception, match=r"waits|woken|passed over"):
        walk()


def test_a_model_alone_never_waits_and_others_do() -> None:
    owner, order = Processors(COUNT), []
    one, other = ProcessorShare(owner), ProcessorShare(owner)
    with one.turn(2), one.turn(2):  # more threads than processors: its own business

        def take() -> None:
            with other.turn(1):
                order.append("other")

        thread = threading.Thread(target=take)
        thread.start()
        thread.join(0.1)
        order.append("one")
    thread.join(30)
    assert order == ["one", "other"]


def test_a_long_call_counts_as_one_that_is_not() -> None:
    """Else a large model would wait until all others had had as much, and its clients' time would be over."""
    now = [0.0]
    owner = Processors(COUNT, lambda: now[0])
    share = ProcessorShare(owner)
    for seconds, counted in ((1.0, 2.0), (100.0, 2.0 + 4.0)):
        turn = owner.begin(share, 2)
        now[0] += seconds
        owner.end(turn)
        assert share.had == counted


def test_a_call_that_hangs_keeps_nobody_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "MAX_TURN_SECONDS", 0.1)
    owner = Processors(COUNT)
    with ProcessorShare(owner).turn(2), ProcessorShare(owner).turn(2), ProcessorShare(owner).turn(1):
        pass


def test_a_child_of_a_fork_has_processors_of_its_own() -> None:
    before = processors._processors
    try:
        processors._forget()
        assert processors.new_share()._processors is not before
    finally:
        processors._processors = before
