"""Who runs the next task: one wide worker with all threads, or several lanes side by side; never both at once.

    tasks = TaskQueue(lanes=2, costs=lambda task: task.costs)
    tasks.put([task, task])          # two images of one call
    if tasks.claim_lanes():          # they could share the threads, and no lane exists yet: start some, then
        tasks.admit_lanes()
    task = tasks.take(wide=False)    # on a lane's thread; None at the end
    tasks.done(task, wide=False)

One image is answered soonest by all threads together. Where more are waiting, two images on one thread each take less
time than one after the other on two: no thread waits for another at the end of every layer.

The invariant: **while a task waits and nobody is busy, somebody who exists may take the first one.** It holds because
`_for_lanes` is the only rule, wide workers take what it refuses, they exist as long as the queue does, and it chooses
lanes only after `admit_lanes` has said that they exist too. While somebody is busy, `done` will wake everybody up, and
so does everything else that the rule depends on. `tests/unit/runtime/engine/test_task_queue.py` walks through every
state.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Literal, Protocol, TypeVar

MAX_LANES = 4
"""A machine of many cores is shared out among this many lanes at most; each has some threads."""


class LaneTask(Protocol):
    """What the queue must know of a task."""

    narrow: bool
    """Whether a lane may run it: its size is the smallest one."""

    crowded: bool
    """Whether more tasks are there, or known to come: then a lane is better."""


class LaneCosts(Protocol):
    """What the queue must know of costs; any answer is safe, a good one is fast."""

    def lanes_pay(self, crowded: bool) -> bool:
        """Return whether lanes take less time than one worker with all threads."""

    def wide_ends_sooner(self, busy_ms: float) -> bool:
        """Return whether a task ends sooner on all threads, once a lane that has been busy for `busy_ms` is free."""


T = TypeVar("T", bound=LaneTask)


def lanes_for(threads: int, workers: int) -> int:
    """Return how many lanes share `threads`; 0 where there is nothing to share, or several wide workers."""
    return min(threads, MAX_LANES) if workers == 1 and threads > 1 else 0


class TaskQueue(Generic[T]):
    """First come, first served; a wide worker runs alone, lanes run at the same time."""

    def __init__(self, lanes: int, costs: Callable[[T], LaneCosts]) -> None:
        """Begin empty; `lanes` says how many there may be next to the wide worker, 0 that there will be none; `costs`
        are those of a task: of its program and image size.
        """
        self._costs = costs
        self._changed = threading.Condition()
        self._tasks: deque[T] = deque()
        self._lanes: Literal["none", "absent", "claimed", "present"] = "absent" if lanes else "none"
        self._wide_busy = 0
        self._lane_starts: dict[int, float] = {}  # by the task's id
        self._closed = False

    def put(self, tasks: Sequence[T]) -> bool:
        """Queue the tasks of one call; return False where the queue is closed, since nobody would run them."""
        with self._changed:
            if self._closed:
                return False
            self._tasks.extend(tasks)
            self._changed.notify_all()
            return True

    def claim_lanes(self) -> bool:
        """Return True to one caller, once: when tasks wait that lanes would share, and no lanes exist.

        That caller starts them, then calls `admit_lanes` or `give_up_lanes`.
        """
        with self._changed:
            narrow = [task for task in self._tasks if task.narrow] if self._lanes == "absent" else []
            crowded = any(task.crowded for task in narrow)
            if self._closed or not (len(narrow) > 1 or crowded) or not self._costs(narrow[0]).lanes_pay(crowded):
                return False
            self._lanes = "claimed"
            return True

    def admit_lanes(self) -> None:
        """Let lanes take tasks, as each of them is ready to."""
        with self._changed:
            self._lanes = "present"
            self._changed.notify_all()

    def give_up_lanes(self) -> None:
        """Leave everything to the wide worker for good: lanes could not be started."""
        with self._changed:
            self._lanes = "none"

    def take(self, wide: bool) -> T | None:
        """Wait for the next task of a wide worker or of a lane; return None where the queue is closed and empty."""
        with self._changed:
            while True:
                task = self._poll(wide)
                if task is not None or (self._closed and not self._tasks):
                    return task
                self._changed.wait()

    def done(self, task: T, wide: bool) -> None:
        """Report that a task that was taken is over."""
        with self._changed:
            if wide:
                self._wide_busy -= 1
            else:
                del self._lane_starts[id(task)]
            self._changed.notify_all()

    def close(self) -> None:
        """Let the workers finish what is queued, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _poll(self, wide: bool) -> T | None:
        """Hand the first task to a worker that may take it now; None where there is none, or it is not its turn."""
        if not self._tasks or self._for_lanes() == wide:
            return None
        if self._lane_starts if wide else self._wide_busy:
            return None  # the other kind has the threads
        task = self._tasks.popleft()
        if wide:
            self._wide_busy += 1
        else:
            self._lane_starts[id(task)] = time.perf_counter()
        return task

    def _for_lanes(self) -> bool:
        """Return whether lanes should run the first task, as things stand; otherwise it is the wide worker's."""
        first = self._tasks[0]
        if self._lanes != "present" or not first.narrow or not self._costs(first).lanes_pay(first.crowded):
            return False
        if first.crowded or (len(self._tasks) > 1 and self._tasks[1].narrow):
            return True
        if not self._lane_starts:
            return False
        busy = time.perf_counter() - max(self._lane_starts.values())
        return not self._costs(self._tasks[0]).wide_ends_sooner(busy * 1e3)
