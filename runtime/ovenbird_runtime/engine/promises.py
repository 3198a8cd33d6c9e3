"""What models have promised to do in time, and how much of that time it fills: arithmetic, without threads or clocks.

    promises = Promises()
    one = promises.add(Promise(share, seconds=0.25, deadline=now + 2.0))
    promises.needed(other, 0.1, now + 1.0, now, {})     # seconds until a new one would be done
    promises.spare(now)     # seconds that may go to whoever comes first in all fairness
    promises.remove(one)

Work that is done in the order of its deadlines is late only where no order would do (Liu and Layland, 1973; Jackson,
1955). So what is due by a time and takes less than is left until then can be promised, whoever it is of.

A model's own requests are done in the order they came in. Who came first must be done by the time of who comes after,
so that `add` brings its deadline forward.
"""

from __future__ import annotations

import math
from typing import Any

from ..dataclass import dataclass

USABLE = 0.9
"""The part of the time left that promises may fill before they come first: estimates are wrong, and calls end late."""


@dataclass(eq=False)
class Promise:
    """Work of a model: the seconds that it takes of the processors, and by when it must be done."""

    share: Any
    seconds: float
    deadline: float


class Promises:
    """All of a process, those first that are due first."""

    def __init__(self) -> None:
        """Begin with none."""
        self._due: list[Promise] = []

    def add(self, promise: Promise) -> Promise:
        """Take one more, behind its model's others."""
        for one in self._due:
            if one.share is promise.share:
                one.deadline = min(one.deadline, promise.deadline)
        self._due.append(promise)
        self._due.sort(key=_deadline)
        return promise

    def remove(self, promise: Promise) -> None:
        """Forget one that was kept or broken; a second time does nothing."""
        if promise in self._due:
            self._due.remove(promise)

    def first_of(self, shares: set[Any]) -> Promise | None:
        """Return the one that is due first, of some models."""
        return next((one for one in self._due if one.share in shares), None)

    def spare(self, now: float) -> float:
        """Return the seconds for which other work could run now, and no promise be broken for it; below 0 where the
        time left is too short already. Infinite where nothing is promised.
        """
        spare, work = math.inf, 0.0
        for one in self._due:
            work += one.seconds
            spare = min(spare, (one.deadline - now) * USABLE - work)
        return spare

    def needed(self, share: Any, seconds: float, deadline: float, now: float, running: dict[Any, float]) -> float:
        """Return the seconds until work of `seconds` that is due at `deadline` would be done; `running` are those that
        calls of models still take, which nobody interrupts.

        It counts what is due before, and what is due later as far as that would be late for it: then the answer is the
        part of the new one's time that would be filled of the later one's.
        """
        before = [one for one in self._due if one.share is share or one.deadline <= deadline]
        counted = {one.share for one in before}
        work = sum(one.seconds for one in before) + seconds
        work += max((rest for other, rest in running.items() if other not in counted), default=0.0)
        found, left = work, deadline - now
        for one in self._due:
            if one.share is not share and one.deadline > deadline:
                work += one.seconds
                found = max(found, work / (one.deadline - now) * left)
        return found

    def needed_in_turn(self, share: Any, seconds: float) -> float:
        """Return the seconds until it would be done if each model that has promised something had the same part of the
        processors.
        """
        own = sum(one.seconds for one in self._due if one.share is share) + seconds
        return own * len({one.share for one in self._due} | {share})


def _deadline(promise: Promise) -> float:
    return promise.deadline
