"""No interleaving keeps a model from its turn: a walk through every state of the processors' owner.

The real `Processors` runs, single-stepped: its condition variable is one that records who waits and who was woken, its
clock is ours. A state is what each thread does, what each model has had, and how many turns each thread is still to
take; from each, every event that can happen next is tried.
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

    def doing(self, *what: str) -> list[int]:
        return [number for number, one in enumerate(self.threads) if one.does in what]


class Step:
    """The real object, put into a state, for one event."""

    def __init__(self, state: State) -> None:
        self.state, self.now, self.steps = state, 100.0, Steps()
        self.owner = Processors(COUNT, lambda: self.now)
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
            self.turns[number] = turn = Turn(share, threads, one.place, began)
            (self.owner._waiting if one.does in ("waits", "awake") else self.owner._running).append(turn)

    def after(self, number: int, **changes: Any) -> State:
        threads = list(self.state.threads)
        threads[number] = replace(threads[number], **changes)
        if self.steps.woken:
            threads = [replace(one, does="awake") if one.does == "waits" else one for one in threads]
        base = min(share.had for share in self.shares)
        had = tuple(share.had - base for share in self.shares)
        return State(renumbered(threads), had, max(0.0, self.owner._least - base))


def renumbered(threads: list[Running]) -> tuple[Running, ...]:
    """Return the threads with places that say the order alone, so that equal states are equal."""
    order = sorted(one.place for one in threads if one.does in ("waits", "awake"))
    return tuple(replace(one, place=order.index(one.place) + 1 if one.place in order else 0) for one in threads)


def next_states(state: State) -> Iterator[tuple[str, State]]:
    """Yield every event that can happen, and the state after it."""
    for number, (name, model, threads, seconds) in enumerate(THREADS):
        one = state.threads[number]
        if one.does == "idle" and one.left:
            step = Step(state)
            try:
                step.owner.begin(step.shares[model], threads)
            except Waits:
                place = step.owner._waiting[-1].place
                yield f"{name} comes", step.after(number, does="waits", place=place, left=one.left - 1)
            else:
                yield f"{name} begins at once", step.after(number, does="runs", left=one.left - 1)
        elif one.does == "awake":
            step = Step(state)
            if not step.owner._may_begin(step.turns[number]):
                yield f"{name} waits on", step.after(number, does="waits")
                continue
            check_turn(state, number)
            step.owner._start(step.turns[number])
            yield f"{name} begins", step.after(number, does="runs")
        elif one.does in ("runs", "hangs"):
            step = Step(state)
            step.now += seconds
            step.owner.end(step.turns[number])
            yield f"{name} ends", step.after(number, does="idle")
        if one.does == "runs" and not state.doing("hangs"):
            awake = [replace(other, does="awake") if other.does == "waits" else other for other in state.threads]
            awake[number] = replace(one, does="hangs")  # and those who wait look again, by their own clocks
            yield f"{name} hangs", replace(state, threads=tuple(awake))


def check_turn(state: State, number: int) -> None:
    """Nobody begins before a model that waits and has had less."""
    model = THREADS[number][1]
    for other in state.doing("waits", "awake"):
        assert state.had[model] <= state.had[THREADS[other][1]], "a model that had less is passed over"


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


@pytest.mark.parametrize("fault", ["end wakes nobody", "start wakes nobody", "first come, first served"])
def test_the_walk_finds_faults(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if fault == "first come, first served":
        monkeypatch.setattr(
            Processors, "_may_begin", lambda self, turn: turn is self._waiting[0] and not self._counted()
        )
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
