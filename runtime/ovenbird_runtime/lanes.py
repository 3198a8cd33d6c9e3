"""Who runs the next task: one wide worker with all threads, or several narrow ones side by side; never both at once.

    tasks = TaskQueue(lanes=2, costs=costs)
    tasks.put([task, task])          # two images of one call: a lane each
    task = tasks.take(wide=False)    # on a worker's thread; None at the end
    tasks.done(wide=False)

One image is answered soonest by all threads together. Where more are waiting, two images on one thread each take less
time than one after the other on two: no thread waits for another at the end of every layer.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from .learning import LearnedCosts

#: A machine of many cores is shared out among this many lanes at most; each has some threads.
MAX_LANES = 4


class LaneTask(Protocol):
    """What the queue must know of a task."""

    narrow: bool
    """Whether a lane may run it: its size is the smallest one."""

    crowded: bool
    """Whether more tasks are there, or known to come: then a lane is better."""


T = TypeVar("T", bound=LaneTask)


def lanes_for(threads: int, workers: int) -> int:
    """Give how many narrow workers share `threads`; 0 where there is nothing to share, or workers are told apart."""
    return min(threads, MAX_LANES) if workers == 1 and threads > 1 else 0


class TaskQueue(Generic[T]):
    """First come, first served; a wide worker runs alone, lanes run beside each other."""

    def __init__(self, lanes: int, costs: LearnedCosts) -> None:
        """Begin empty, for `lanes` narrow workers beside the wide ones."""
        self._lanes, self._costs = lanes, costs
        self._changed = threading.Condition()
        self._tasks: deque[T] = deque()
        self._wide_busy = 0
        self._lane_starts: dict[int, float] = {}
        self._closed = False

    def put(self, tasks: Sequence[T]) -> None:
        """Queue the tasks of one call; a closed queue drops them: no worker would ever run them."""
        with self._changed:
            if not self._closed:
                self._tasks.extend(tasks)
                self._changed.notify_all()

    def take(self, wide: bool) -> T | None:
        """Wait for the next task of a wide or of a narrow worker; None where the queue is closed and empty."""
        with self._changed:
            while True:
                if self._tasks and self._may_take(wide):
                    if wide:
                        self._wide_busy += 1
                    else:
                        self._lane_starts[threading.get_ident()] = time.perf_counter()
                    return self._tasks.popleft()
                if self._closed and not self._tasks:
                    return None
                self._changed.wait()

    def done(self, wide: bool) -> None:
        """Tell that a task that was taken is over."""
        with self._changed:
            if wide:
                self._wide_busy -= 1
            else:
                del self._lane_starts[threading.get_ident()]
            self._changed.notify_all()

    def close(self) -> None:
        """Let the workers finish what is queued, then end."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _may_take(self, wide: bool) -> bool:
        if not self._lanes:
            return True
        if wide:
            return not self._lane_starts and not self._wide_busy and not self._for_lanes()
        return not self._wide_busy and self._for_lanes()

    def _for_lanes(self) -> bool:
        """Whether lanes should run the first task, as things stand."""
        first = self._tasks[0]
        if not first.narrow or not self._costs.lanes_pay(first.crowded):
            return False
        if first.crowded or (len(self._tasks) > 1 and self._tasks[1].narrow):
            return True
        return bool(self._lane_starts) and not self._worth_waiting()

    def _worth_waiting(self) -> bool:
        """Whether the last task ends sooner on all threads, after the lanes that run, than on a lane from now on."""
        wide, narrow = self._costs.single, self._costs.lane
        if wide is None or narrow is None:
            return False
        left = max(self._lane_starts.values()) + narrow / 1e3 - time.perf_counter()
        return max(left, 0.0) + wide / 1e3 < narrow / 1e3
