"""Learns on this machine what each compiled batch size costs, from the calls themselves.

    costs = LearnedCosts({1: None, 8: None}, lanes=2)
    costs.plan(8)              # (8,) while batch 8 is new, (1,) * 8 while batch 1 is, then whatever took less time

Large batches are not always cheaper: eight images' activations may leave the caches that one image's fit into. An
artifact carries no times of the machine that compiled it (its bytes would differ from one compilation to the next).
"""

from __future__ import annotations

from collections.abc import Mapping

from ..dataclass import dataclass
from .compose import plan_batches

_SAMPLES, _WARM_UP = 2, 1
"""Times taken of a size before they count, and how many first calls (page faults, cold caches) come before them."""

_OF_LATE = 0.1
"""The weight of one call in what calls take of late, against what is known."""
_MOST = 10.0
"""How many times as long one call may count: a machine that stood still says nothing of the next one."""

_LANE_SAMPLES = 8
"""The same for a lane, whose times are noisier: they count as soon as there are so many of each."""

CROWD_FACTOR = 1.1
"""How much longer than one worker lanes may take for an image, and still be better while other work runs. Measured
with a server of ResNet50 on two cores: 4 % more requests a second where both took the same time undisturbed, 17 to 25 %
where images were prepared in twice the time."""


@dataclass(frozen=True)
class Lanes:
    """`count` workers at the same time, and the ms that one image takes there; count 0: one image after the other."""

    count: int = 0
    cost: float | None = None


class LearnedCosts:
    """Costs in ms by batch size, in `table`; a size that is None there is learned, one that has a number is kept.

    `lane` is the cost of the smallest size on one of `lanes` narrow workers while the others work too.
    """

    def __init__(self, known: Mapping[int, float | None], lanes: int = 0) -> None:
        """Begin with what is known."""
        self.table: dict[int, float | None] = dict(known)
        self.smallest, self.lanes = min(self.table), lanes
        self.lane: float | None = None
        self.slowdown = 1.0
        """How many times as long as their costs calls take of late."""
        self._seen: dict[int, list[float]] = {}
        self._lane_seen: list[float] = []

    @property
    def single(self) -> float | None:
        """The cost of the smallest size with all threads."""
        return self.table.get(self.smallest)

    def lanes_pay(self, crowded: bool) -> bool:
        """Return whether lanes take less time than one worker with all threads; true until it is known.

        `crowded` calls come with other work (images are decoded, clients are answered), which holds up one lane where
        it would hold up all threads, at the end of every layer: lanes are taken even if they are a little slower.
        """
        if not self.lanes:
            return False
        if self.lane is None or self.single is None:
            return True
        return self.lane / self.lanes < self.single * (CROWD_FACTOR if crowded else 1.0)

    def wide_ends_sooner(self, busy_ms: float) -> bool:
        """Return whether an image ends sooner on all threads, once a lane that has been busy for `busy_ms` is free,
        than on another lane from now on; false until both costs are known.
        """
        if self.single is None or self.lane is None:
            return False
        return max(self.lane - busy_ms, 0.0) + self.single < self.lane

    def plan(self, count: int) -> tuple[int, ...]:
        """Return the batch sizes for `count` images: the cheapest, or sizes not yet known where they would fit."""
        table = dict(self.table)
        fitting = {size: cost for size, cost in table.items() if size <= count or size == self.smallest}
        unknown = [size for size, cost in fitting.items() if cost is None]
        if unknown and len(fitting) > 1:
            size = max(unknown)
            rest = count % size
            return (size,) * (count // size) + (self.plan(rest) if rest else ())
        singles = (self.smallest,) * -(-count // self.smallest)
        if self.lanes_pay(False) and self.lane is None and len(singles) >= self.lanes:
            return singles  # how fast lanes are is not known yet
        known = all(cost is not None for cost in table.values())
        best = plan_batches(count, table if known or len(fitting) == 1 else fitting)
        if known and self.lanes_pay(False) and self.lane is not None:
            rounds, rest = divmod(len(singles), self.lanes)
            last = 0.0 if not rest else self.lane if rest > 1 else min(self.lane, self.single or self.lane)
            if rounds and rounds * self.lane + last < sum(table[size] or 0.0 for size in best):
                return singles
        return best

    def observe(self, size: int, milliseconds: float) -> None:
        """Take note of one call's time. Safe from several threads: the least of some times needs no order."""
        if (known := self.table.get(size, 0.0)) is not None:
            self._compare(milliseconds, known)
            return
        seen = self._seen.setdefault(size, [])
        seen.append(milliseconds)
        if len(seen) >= _WARM_UP + _SAMPLES:
            self.table[size] = min(seen[_WARM_UP:])

    def observe_lane(self, milliseconds: float) -> None:
        """Take note of the time of the smallest size on a lane; each lane's first calls do not count."""
        if self.lane is not None:
            self._compare(milliseconds, self.lane)
            return
        self._lane_seen.append(milliseconds)
        first = _WARM_UP * self.lanes
        if len(self._lane_seen) >= first + _LANE_SAMPLES * self.lanes:
            # The median, not the least: a lane is fast while the others are still idle.
            times = sorted(self._lane_seen[first:])
            self.lane = times[len(times) // 2]

    def _compare(self, milliseconds: float, known: float) -> None:
        """Count one call's time in. Two at once may leave one of them out, which does no harm."""
        if known > 0:
            self.slowdown += _OF_LATE * (min(milliseconds / known, _MOST) - self.slowdown)
