"""What is promised is kept: every arrival of a few requests at the real owner of the processors, by a clock of ours."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from ovenbird_runtime.engine.processors import Processors, ProcessorShare, Turn
from ovenbird_runtime.engine.promises import Promise, Promises
from ovenbird_runtime.limits import MAX_TURN_SECONDS
from support.stepping import Steps

COSTS = (0.05, 0.1, 0.25)
"""Seconds of a call of each model: two classifiers and a detector."""
TICK = 0.125
FILL = 0.75


@dataclass
class Request:
    """One that was let in."""

    deadline: float
    promise: Promise


@dataclass
class Model:
    """A queue, and one worker that asks for turns."""

    cost: float
    share: ProcessorShare
    queue: deque[Request] = field(default_factory=deque)
    turn: Turn | None = None
    ends: float = 0.0


class Server:
    """The real owner, with as many clients as come; calls take what was estimated."""

    def __init__(self, costs: tuple[float, ...] = COSTS) -> None:
        self.now = 0.0
        self.owner = Processors(2, lambda: self.now)
        self.owner._changed = Steps()  # type: ignore[assignment]
        self.models = [Model(cost, ProcessorShare(self.owner)) for cost in costs]
        self.late: list[float] = []
        self.done: list[int] = []
        for one in self.models:
            one.share.usual = one.cost  # it has run before

    def arrive(self, number: int, seconds: float) -> bool:
        """Let a request in, or refuse it."""
        model = self.models[number]
        deadline = self.now + seconds
        if self.owner._promises.needed(model.share, model.cost, deadline, self.now, self.rests()) > FILL * seconds:
            return False
        model.queue.append(Request(deadline, model.share.promise(model.cost, deadline)))
        if model.turn is None:
            self.ask(model)
        return True

    def rests(self) -> dict[ProcessorShare, float]:
        return {one.share: one.ends - self.now for one in self.models if one.turn in self.owner._running}

    def ask(self, model: Model) -> None:
        model.turn = self.owner._arrive(model.share, 2)
        self.owner._choose()

    def run_until(self, end: float) -> None:
        """Begin and end calls until a time."""
        while True:
            for model in self.models:
                if model.turn in self.owner._waiting and self.owner._may_begin(model.turn):
                    self.owner._start(model.turn)
                    model.ends = self.now + model.cost
            running = [one for one in self.models if one.turn in self.owner._running]
            if not running or running[0].ends > end:
                assert running or not self.owner._waiting
                self.now = max(self.now, end)
                return
            self.now = running[0].ends
            self.finish(running[0])

    def finish(self, model: Model) -> None:
        assert model.turn is not None
        request = model.queue.popleft()
        self.owner.end(model.turn)
        model.share.withdraw(request.promise)
        self.late.append(self.now - request.deadline)
        self.done.append(self.models.index(model))
        model.turn = None
        if model.queue:
            self.ask(model)


def arrivals() -> Iterator[tuple[tuple[int, float] | None, ...]]:
    """Yield who comes at each tick: nobody, or two requests of a model, and how much time they have."""
    yield from itertools.product((None, (0, 1.0), (1, 2.0), (2, 1.0)), repeat=6)


@pytest.mark.parametrize("kept", [True, False])
def test_every_promise_is_kept_whoever_comes_when(kept: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By turns that are fair alone they would not be."""
    if not kept:
        monkeypatch.setattr(Processors, "_pressing", lambda self, fair: None)
    refused = late = 0
    for pattern in arrivals():
        server = Server()
        for place, coming in enumerate(pattern):
            server.run_until(place * TICK)
            for _ in range(2 if coming else 0):
                refused += not server.arrive(*coming)  # type: ignore[misc]
        server.run_until(100.0)
        assert not any(model.queue for model in server.models)
        broken = max(server.late, default=0.0) > 1e-9
        assert not (kept and broken), pattern
        late += broken
        if late > 3:
            return
    assert kept, "turns that are fair alone kept every promise"
    assert refused > 100, "never was there more than could be promised"


def closed_loop(costs: tuple[float, ...], clients: int, seconds: float, allowed: float) -> Server:
    """Have as many clients of each model ask again as soon as they are answered. None is refused."""
    server = Server(costs)
    for number in list(range(len(costs))) * clients:
        assert server.arrive(number, allowed)
    while server.now < seconds:
        before = len(server.done)
        server.run_until(
            min((one.ends for one in server.models if one.turn in server.owner._running), default=server.now)
        )
        for number in server.done[before:]:
            assert server.arrive(number, allowed), f"refused at {server.now:.2f} s"
    return server


def test_few_clients_of_each_model_are_neither_refused_nor_late() -> None:
    server = closed_loop((0.006, 0.02, 0.25), clients=4, seconds=60.0, allowed=2.0)
    assert max(server.late) <= 0
    counts = [server.done.count(number) for number in range(3)]
    assert counts[0] > 5 * counts[2] > 5 * 100, "turns are not fair where there is time"


def test_fairness_gives_way_to_promises_only_where_time_is_short() -> None:
    now = 0.0
    owner = Processors(2, lambda: now)
    owner._changed = Steps()  # type: ignore[assignment]
    small, large = ProcessorShare(owner), ProcessorShare(owner)
    large.had = 1.0
    small.usual = 0.8
    turns = [owner._arrive(share, 2) for share in (large, small)]
    promise = large.promise(2.0, deadline=10.0)
    owner._choose()
    assert owner._first is turns[1]
    now = 4.0  # of the six seconds left, two are needed
    owner._choose()
    assert owner._first is turns[1]
    turns[1].came = now = 7.0  # of three, two: the other one may not take 0.8 s
    owner._choose()
    assert owner._first is turns[0]
    now = 7.0 + MAX_TURN_SECONDS
    owner._choose()
    assert owner._first is turns[1], "a model waited for another one's promises without end"
    now = 7.0
    large.withdraw(promise)
    owner._choose()
    assert owner._first is turns[1]


def test_what_is_due_before_counts_and_what_would_be_late_for_it() -> None:
    promises = Promises()
    one, two = object(), object()
    assert promises.needed(one, 1.0, 10.0, 0.0, {}) == 1.0
    assert promises.needed(one, 1.0, 10.0, 0.0, {two: 0.5}) == 1.5, "nobody interrupts a call"
    promises.add(Promise(one, 3.0, 8.0))
    assert promises.needed(two, 1.0, 10.0, 0.0, {}) == 4.0
    assert promises.needed(two, 1.0, 4.0, 0.0, {}) == 2.0, "half of the other one's time would be filled: of four, two"
    assert promises.needed(one, 1.0, 4.0, 0.0, {}) == 4.0, "of one model, who came first is first"
    assert promises.needed_in_turn(two, 1.0) == 2.0
    assert promises.needed_in_turn(one, 1.0) == 4.0


def test_who_came_first_is_done_by_the_time_of_who_comes_after() -> None:
    promises = Promises()
    first = promises.add(Promise("one", 1.0, 60.0))
    second = promises.add(Promise("one", 1.0, 5.0))
    other = promises.add(Promise("two", 1.0, 9.0))
    assert first.deadline == 5.0
    assert promises.first_of({"one", "two"}) is first
    assert promises.spare(0.0) == pytest.approx(5.0 * 0.9 - 2.0)
    for promise in (first, second, second):
        promises.remove(promise)
    assert promises.first_of({"one"}) is None
    assert promises.first_of({"two"}) is other
    promises.remove(other)
    assert promises.spare(0.0) == float("inf")
