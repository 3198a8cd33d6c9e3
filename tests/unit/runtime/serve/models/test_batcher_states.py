"""No interleaving leaves a request in the batcher's queue: a walk through every state, single-stepped.

The real `Batcher` takes each step; its condition variable is one that records who would wait, how, and whom a
notification may wake. From each state every event is tried that can happen next: a request is announced, comes or does
not come, a thread looks, gathers, runs or ends, the oldest request's time to wait for others is over.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from ovenbird_runtime.serve.errors import NotReady
from ovenbird_runtime.serve.models.batcher import Batcher, Pending
from ovenbird_runtime.serve.models.batching import Costs

Doing = Literal["looks", "waits", "gathers", "runs", "ended"]
"""What a thread does; `waits` until it is woken, `gathers` until then or until a time is over."""

MOST, THREADS = 3, 2


class Waits(Exception):
    """Raised where a thread would wait; holds the time, None where there is none."""


class Steps:
    """A condition variable for one step of one thread."""

    def __init__(self) -> None:
        self.woken: Literal["", "one", "all"] = ""

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def notify(self) -> None:
        self.woken = self.woken or "one"

    def notify_all(self) -> None:
        self.woken = "all"

    def wait(self, seconds: float | None = None) -> None:
        raise Waits(seconds)


@dataclass(frozen=True)
class State:
    queued: int = 0
    coming: int = 0
    closing: bool = False
    threads: tuple[Doing, ...] = ("looks",) * THREADS


class Events:
    def ran(self, images: int, size: int, seconds: float, waits: list[float]) -> None: ...

    def failed(self, error: BaseException) -> None: ...


@dataclass
class Walker:
    """One batcher, put into each state in turn."""

    batcher: Batcher
    steps: Steps

    def enter(self, state: State, patient: bool) -> None:
        """Take a state; `patient`: the oldest request would wait for others still."""
        self.batcher._condition = self.steps = Steps()  # type: ignore[assignment]
        self.batcher._run, self.batcher._events = run, Events()  # `close` lets go of them
        queued = time.monotonic() if patient else 0.0
        entries = [Pending(1, {}, float("inf"), asyncio.Future(), queued=queued) for _ in range(state.queued)]
        self.batcher._queue = deque(entries)
        self.batcher._rows, self.batcher._coming = state.queued, Counter({(): state.coming})
        self.batcher._closing = state.closing
        self.batcher._idle = sum(doing in ("waits", "gathers") for doing in state.threads)

    def after(self, state: State, **changes: Any) -> Iterator[State]:
        """Yield the states after a step: a notification wakes any one of those who wait."""
        batcher = self.batcher
        state = replace(
            state, queued=len(batcher._queue), coming=batcher._coming[()], closing=batcher._closing, **changes
        )  # fmt: skip
        waiting = [i for i, doing in enumerate(state.threads) if doing in ("waits", "gathers")]
        if not self.steps.woken or not waiting:
            yield state
        elif self.steps.woken == "all":
            yield replace(state, threads=tuple("looks" if i in waiting else d for i, d in enumerate(state.threads)))
        else:
            yield from (doing(state, i, "looks") for i in waiting)

    def following(self, state: State) -> Iterator[State]:
        """Yield every state that may come next."""
        if state.queued + state.coming < MOST and not state.closing:
            self.enter(state, patient=True)
            self.batcher.expect(1)
            yield from self.after(state)
        if state.coming:
            self.enter(state, patient=True)
            self.batcher.expect(-1)
            yield from self.after(state)
            self.enter(state, patient=True)
            if state.closing:
                with pytest.raises(NotReady):
                    self.batcher.submit(Pending(1, {}, float("inf"), asyncio.Future()))
            else:
                self.batcher.submit(Pending(1, {}, float("inf"), asyncio.Future()))
            yield from self.after(state)
        if not state.closing:
            self.enter(state, patient=True)
            self.batcher._threads = []
            self.batcher.close(0)
            yield from self.after(state)
        for index, now in enumerate(state.threads):
            if now == "runs":
                yield doing(state, index, "looks")
            elif now == "gathers":
                yield doing(state, index, "looks")  # its time is over
            elif now == "looks":
                for patient in (True, False):
                    yield from self.look(state, index, patient)

    def look(self, state: State, index: int, patient: bool) -> Iterator[State]:
        self.enter(state, patient)
        try:
            batch = self.batcher._take()
        except Waits as waits:
            yield from self.after(doing(state, index, "waits" if waits.args[0] is None else "gathers"))
            return
        if batch is None:
            assert state.closing
            assert not state.queued
        yield from self.after(doing(state, index, "ended" if batch is None else "runs"))


def doing(state: State, index: int, what: Doing) -> State:
    return replace(state, threads=(*state.threads[:index], what, *state.threads[index + 1 :]))


def check(state: State) -> None:
    if state.queued:
        assert set(state.threads) - {"waits", "ended"}, f"a request waits, and so does everybody: {state}"
    if state.closing and not state.queued:
        assert "waits" not in state.threads, f"a thread waits for ever at a closed queue: {state}"


def run(rows: int, arrays: Any, crowded: bool) -> dict[str, Any]:
    return {}


async def walk() -> set[State]:
    # A pair takes little longer than one: eight seconds are saved by waiting up to one second for another.
    batcher = Batcher(run, {(): Costs({1: 10e3, 2: 12e3}, 2)}, 1, 1.0, Events(), merge=True)
    batcher.close(5)  # its own threads have nothing to do with the walk
    walker = Walker(batcher, Steps())
    seen, todo = {State()}, deque([State()])
    while todo:
        state = todo.popleft()
        check(state)
        for following in walker.following(state):
            if following not in seen:
                seen.add(following)
                todo.append(following)
    return seen


def test_every_request_will_be_looked_at() -> None:
    states = asyncio.run(walk())
    assert len(states) > 100
    assert {doing for state in states for doing in state.threads} == {"looks", "waits", "gathers", "runs", "ended"}


@pytest.mark.parametrize("fault", ["submit", "close"])
def test_the_walk_finds_faults(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    method = getattr(Batcher, fault)

    def quiet(self: Batcher, *arguments: Any) -> None:
        method(self, *arguments)
        if isinstance(self._condition, Steps):
            self._condition.woken = ""

    monkeypatch.setattr(Batcher, fault, quiet)
    with pytest.raises(AssertionError, match="waits"):
        asyncio.run(walk())
