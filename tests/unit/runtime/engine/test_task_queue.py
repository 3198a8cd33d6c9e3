"""No interleaving leaves a task to somebody who does not exist: a walk through every state of the engine's queue.

The real `TaskQueue` runs, single-stepped: its condition variable is one that records who waits and who was woken.
A state is what the queue holds, what each worker does, and what the costs say; from each, every event that can
happen next is tried. The costs may change their mind whenever the engine's can: while somebody works.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ovenbird_runtime.engine.lanes import TaskQueue
from support.stepping import Steps, Waits

WORKERS = ("wide", "lane 1", "lane 2")
CALLS = ("n", "c", "w", "nn", "cc", "wn", "nw", "wnn")
"""What a call may queue: narrow, crowded (narrow too) and wide tasks."""
MOST_WAITING = 3


@dataclass(frozen=True)
class Costs:
    pays: bool
    sooner: bool

    def lanes_pay(self, crowded: bool) -> bool:
        return self.pays

    def wide_ends_sooner(self, busy_ms: float) -> bool:
        return self.sooner


class Task:
    def __init__(self, kind: str) -> None:
        self.kind, self.narrow, self.crowded = kind, kind != "w", kind == "c"


@dataclass(frozen=True)
class State:
    queued: str = ""
    lanes: Any = "absent"
    busy: tuple[str, ...] = ("", "", "")
    waiting: tuple[bool, bool, bool] = (False, False, False)
    exist: bool = False  # the lanes' threads
    pays: bool = True
    closed: bool = False

    def idle(self) -> bool:
        return not any(self.busy)

    def ended(self) -> bool:
        return self.closed and not self.queued


class Step:
    """The real queue, put into a state, for one event."""

    def __init__(self, state: State, sooner: bool = False) -> None:
        self.state, self.steps = state, Steps()
        costs = Costs(state.pays, sooner)
        self.queue: TaskQueue[Task] = TaskQueue(2, lambda task: costs)
        self.queue._changed = self.steps  # type: ignore[assignment]
        self.queue._tasks = deque(map(Task, state.queued))
        self.queue._lanes, self.queue._closed = state.lanes, state.closed
        self.running = [Task(kind) if kind else None for kind in state.busy]
        self.queue._wide_busy = int(self.running[0] is not None)
        self.queue._lane_starts = {id(task): 0.0 for task in self.running[1:] if task is not None}

    def after(self, **changes: Any) -> State:
        queued = "".join(task.kind for task in self.queue._tasks)
        state = replace(self.state, queued=queued, lanes=self.queue._lanes, closed=self.queue._closed, **changes)
        return replace(state, waiting=(False, False, False)) if self.steps.woken else state


def changed(values: tuple[Any, ...], index: int, value: Any) -> tuple[Any, ...]:
    return (*values[:index], value, *values[index + 1 :])


def next_states(state: State) -> Iterator[tuple[str, State]]:
    """Yield every event that can happen, and the state after it."""
    for call in CALLS:
        if len(state.queued) + len(call) <= MOST_WAITING:
            step = Step(state)
            assert step.queue.put([Task(kind) for kind in call]) is not state.closed
            yield f"put {call}", step.after()
    if state.lanes == "absent":
        step = Step(state)
        if step.queue.claim_lanes():
            yield "claim", step.after()
    if state.lanes == "claimed":
        yield "lanes start", replace(state, exist=True)
        step = Step(state)
        step.queue.give_up_lanes()
        yield "lanes fail", step.after()
        if state.exist:
            step = Step(state)
            step.queue.admit_lanes()
            yield "admit", step.after()
    for index, name in enumerate(WORKERS):
        if index and not state.exist:
            continue
        if state.busy[index]:
            step = Step(state)
            step.queue.done(step.running[index], wide=index == 0)  # type: ignore[arg-type]
            yield f"{name} done", step.after(busy=changed(state.busy, index, ""))
        elif not state.waiting[index]:
            for sooner in (False, True):
                step = Step(state, sooner)
                try:
                    task = step.queue.take(wide=index == 0)
                except Waits:
                    yield f"{name} waits", step.after(waiting=changed(state.waiting, index, True))
                    continue
                if task is None:
                    assert state.ended()
                    continue
                assert task.kind == state.queued[0], "first come, first served"
                yield f"{name} takes {task.kind}", step.after(busy=changed(state.busy, index, task.kind))
    if not state.idle():  # what was learned from a task counts before its end is reported
        yield "costs change", replace(state, pays=not state.pays)
    if not state.closed:
        step = Step(state)
        step.queue.close()
        yield "close", step.after()


def check(state: State) -> None:
    wide, *lanes = state.busy
    assert not (wide and any(lanes)), "a lane runs while the wide worker does"
    assert "w" not in lanes, "a lane runs a wide task"
    everybody_waits = all(state.waiting[i] or state.busy[i] or (i and not state.exist) for i in range(3))
    if state.queued and state.idle():
        assert not everybody_waits, "a task waits, and so does everybody who could run it"
    if state.ended() and state.idle():
        assert not any(state.waiting), "a worker waits for ever at a closed queue"


def walk() -> dict[State, tuple[State, str] | None]:
    """Return every state that can be reached, and by which event from which other one."""
    came_from: dict[State, tuple[State, str] | None] = {State(): None}
    todo = deque(came_from)
    while todo:
        state = todo.popleft()
        try:
            check(state)
        except AssertionError as error:
            pytest.fail(f"{error}: {' | '.join(path_to(state, came_from))} -> {state}")
        for event, following in next_states(state):
            if following not in came_from:
                came_from[following] = (state, event)
                todo.append(following)
    return came_from


def path_to(state: State, came_from: dict[State, tuple[State, str] | None]) -> list[str]:
    path = []
    while (step := came_from[state]) is not None:
        state, event = step
        path.append(event)
    return path[::-1]


def test_every_task_can_be_run_by_somebody_who_exists() -> None:
    states = walk()
    # It was a walk, not a stroll: both kinds of worker worked, with every kind of task, and the queue was closed.
    assert len(states) > 2_000
    assert {state.busy[0] for state in states} == {"", "n", "c", "w"}
    assert {state.busy[1:] for state in states} >= {("n", "n"), ("c", "n"), ("", "c")}
    assert any(state.ended() and state.idle() for state in states)


@pytest.mark.parametrize("fault", ["lanes that nobody started", "done wakes nobody", "admitting wakes nobody"])
def test_the_walk_finds_faults(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of these was real: two narrow tasks were left to lanes that nobody had started."""
    if fault == "lanes that nobody started":
        monkeypatch.setattr(TaskQueue, "_for_lanes", lambda self: all(t.narrow for t in [*self._tasks][:2]))
    else:
        name = "done" if fault.startswith("done") else "admit_lanes"
        method = getattr(TaskQueue, name)

        def quiet(self: TaskQueue[Task], *arguments: Any, **named: Any) -> None:
            method(self, *arguments, **named)
            self._changed.woken = False  # type: ignore[attr-defined]

        monkeypatch.setattr(TaskQueue, name, quiet)
    with pytest.raises(pytest.fail.Exception, match=r"waits"):
        walk()
