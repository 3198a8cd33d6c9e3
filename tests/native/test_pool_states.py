"""The thread pool's rules (`runtime/cpp/src/engine/thread_pool.h`), walked through every order of its steps.

A step is what one thread does without another in between: an atomic operation, or work on what it alone may touch. An
owner launches jobs, helpers join, take tasks, leave and sleep. In no order may a job's slot be written while somebody
is in it, a task be run twice or by nobody, or all threads wait for ever. Rules with a fault show that the walk would
find it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

JOBS, TASKS, HELPERS = 2, 2, 2
OWNER = HELPERS
"""The owner's place among the threads."""


@dataclass(frozen=True)
class State:
    """All that threads share, and where each of them is. `holding`: the task that a thread has found free, or taken."""

    at: tuple[str, ...]
    seen: tuple[int, ...]
    holding: tuple[int, ...]
    epoch: int = 0
    opened: bool = False
    inside: int = 0
    slot: int = 0
    free: frozenset[int] = frozenset()
    runs: tuple[int, ...] = ()
    waiting: frozenset[int] = frozenset()
    stopping: bool = False

    def moved(self, thread: int, to: str, **changes: object) -> State:
        """Return the state after a step of a thread that goes on at `to`."""
        at = (*self.at[:thread], to, *self.at[thread + 1 :])
        return replace(self, at=at, **changes)  # type: ignore[arg-type]

    def holds(self, thread: int, task: int) -> tuple[int, ...]:
        """Return `holding` with another task for a thread."""
        return (*self.holding[:thread], task, *self.holding[thread + 1 :])

    def news(self, helper: int) -> bool:
        """Return whether a helper has something to do."""
        return (self.opened and self.epoch != self.seen[helper]) or self.stopping


class Pool:
    """The rules; subclasses break one."""

    waits_for_helpers = True
    joins_while_open = True
    takes_at_once = True
    wakes_at_the_end = True

    def start(self) -> State:
        """Return the state before the first launch."""
        return State(("look",) * HELPERS + ("write",), (0,) * HELPERS, (-1,) * (HELPERS + 1))

    def steps(self, state: State) -> Iterator[State]:
        """Yield every state that one step of one thread leads to."""
        for helper in range(HELPERS):
            yield from self.help(state, helper)
        yield from self.launch(state)

    def work(self, state: State, thread: int, after: str) -> Iterator[State]:
        """Take tasks and run them: find one, clear its bit, run it."""
        at, held = state.at[thread], state.holding[thread]
        if at == "find":
            for task in state.free:  # its own or another's: which one decides only where data lies
                yield state.moved(thread, "take", holding=state.holds(thread, task))
            if not state.free:
                yield state.moved(thread, after)
        elif at == "take" and (held in state.free or not self.takes_at_once):
            yield state.moved(thread, "run", free=state.free - {held})
        elif at == "take":
            yield state.moved(thread, "find")
        elif at == "run":
            runs = tuple(count + (task == held) for task, count in enumerate(state.runs))
            assert runs[held] == 1, f"task {held} is run twice"
            yield state.moved(thread, "find", runs=runs)

    def launch(self, state: State) -> Iterator[State]:
        """Do the owner's next step."""
        at = state.at[OWNER]
        if at == "write":
            assert not state.opened, "the slot is written while it is open"
            assert not state.inside, "the slot is written while somebody is in it"
            yield state.moved(OWNER, "open", slot=state.slot + 1, free=frozenset(range(TASKS)), runs=(0,) * TASKS)
        elif at == "open":
            yield state.moved(OWNER, "wake", epoch=state.epoch + 1, opened=True)
        elif at == "wake":
            yield self.woken(state.moved(OWNER, "find"))
        elif at == "close":
            yield state.moved(OWNER, "wait", opened=False)
        elif at == "wait" and (not state.inside or not self.waits_for_helpers):
            assert state.runs == (1,) * TASKS, f"the launch returns, tasks were run {state.runs} times"
            yield state.moved(OWNER, "write" if state.slot < JOBS else "stop")
        elif at == "stop":
            yield state.moved(OWNER, "wake all", stopping=True)
        elif at == "wake all":
            yield self.woken(state.moved(OWNER, "end")) if self.wakes_at_the_end else state.moved(OWNER, "end")
        else:
            yield from self.work(state, OWNER, "close")

    @staticmethod
    def woken(state: State) -> State:
        """Return the state with all who sleep awake: they look once more before they sleep again."""
        at = tuple("sleep" if thread in state.waiting else one for thread, one in enumerate(state.at))
        return replace(state, at=at, waiting=frozenset())

    def help(self, state: State, helper: int) -> Iterator[State]:
        """Do a helper's next step."""
        at = state.at[helper]
        if at == "look" and state.stopping:
            yield state.moved(helper, "end")
        elif at == "look":
            joinable = state.opened and state.epoch != state.seen[helper]
            yield state.moved(helper, "join" if joinable else "sleep")
        elif at == "join":
            open_yet = (state.opened and state.epoch != state.seen[helper]) or not self.joins_while_open
            seen = (*state.seen[:helper], state.epoch, *state.seen[helper + 1 :])
            yield (
                state.moved(helper, "find", inside=state.inside + 1, seen=seen)
                if open_yet
                else state.moved(helper, "look")
            )
        elif at == "sleep":  # under the lock: nobody is woken between the look and the sleep
            if state.news(helper):
                yield state.moved(helper, "look")
            else:
                yield state.moved(helper, "asleep", waiting=state.waiting | {helper})
        elif at == "leave":
            yield state.moved(helper, "look", inside=state.inside - 1)
        else:
            if at == "run":
                assert state.slot == state.seen[helper], "a task is run by the slot of another job"
            yield from self.work(state, helper, "leave")


def walk(pool: Pool) -> int:
    """Go through every state that can be reached; return how many there are. Raises AssertionError."""
    found, left = {pool.start()}, [pool.start()]
    while left:
        state = left.pop()
        following = list(pool.steps(state))
        assert following or set(state.at) == {"end"}, f"all wait for ever: {state}"
        for one in following:
            if one not in found:
                found.add(one)
                left.append(one)
    return len(found)


def test_every_order_of_steps_runs_each_task_once_and_ends() -> None:
    assert walk(Pool()) > 10_000


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("waits_for_helpers", "times|in it|run twice|another job"),
        ("joins_while_open", "in it|another job|run twice"),
        ("takes_at_once", "run twice"),
        ("wakes_at_the_end", "wait for ever"),
    ],
)
def test_a_broken_rule_is_found(rule: str, said: str) -> None:
    broken = type("Broken", (Pool,), {rule: False})()
    with pytest.raises(AssertionError, match=said):
        walk(broken)
