"""Which batch to run next, and whether to wait for more: arithmetic on measured costs, without threads or clocks.

costs = Costs({1: 18.8, 8: 120.0}, largest=8)
costs.next_batch(waiting=9, workers=1)         # 8
costs.gain(waiting=1, coming=7)                # ms saved if the seven that are being decoded come along
costs = Costs({1: 18.8, 8: 140.0}, largest=8, lanes=Lanes(2, 34.0))
costs.workers(1), costs.next_batch(9, 1)       # 2, 1: two images side by side, on one thread each
"""

from __future__ import annotations

from collections.abc import Mapping

from ...engine.compose import plan_batches
from ...engine.learning import CROWD_FACTOR, Lanes


class Costs:
    """The cost of each compiled batch size, in ms, and of images side by side where that is better."""

    def __init__(self, costs: Mapping[int, float], largest: int, lanes: Lanes | None = None) -> None:
        """Keep the sizes up to `largest` (the smallest size at least), and `lanes` where no size is cheaper."""
        self._smallest = min(costs)
        self.table = {size: cost for size, cost in costs.items() if size <= max(largest, self._smallest)}
        self.largest = max(self.table)
        self.lanes = Lanes()
        cheapest = min(cost / size for size, cost in self.table.items())
        if lanes is not None and lanes.count and lanes.cost is not None:
            self.lanes = lanes if lanes.cost / lanes.count / self._smallest < cheapest * CROWD_FACTOR else Lanes()

    def workers(self, workers: int) -> int:
        """Return how many batches should run at a time, where the model has `workers`."""
        return self.lanes.count or workers

    def total(self, images: int) -> float:
        """Return the ms that `images` take, one batch after the other."""
        if images <= 0:
            return 0.0
        if self.lanes.count and self.lanes.cost is not None and images > self._smallest:
            return -(-images // self._smallest) * self.lanes.cost / self.lanes.count
        return sum(self.table[size] for size in plan_batches(images, self.table))

    def padding(self, images: int) -> int:
        """Return how many rows are computed beyond `images`."""
        if self.lanes.count:
            return -images % self._smallest
        return sum(plan_batches(images, self.table)) - images

    def next_batch(self, waiting: int, workers: int) -> int:
        """Return the compiled size to run first so that `waiting` images are finished
        soonest by `workers` idle workers.

        The largest of the plan comes first: what is left over may still grow by what arrives meanwhile.
        """
        if self.lanes.count:
            return self._smallest
        share = -(-waiting // max(1, workers))
        return plan_batches(share, self.table)[0]

    def gain(self, waiting: int, coming: int) -> float:
        """Return the ms that are saved when `coming` images are waited for and join, as far as one batch can hold."""
        if self.lanes.count:
            return 0.0
        joined = min(waiting + coming, self.largest)
        return self.total(waiting) + self.total(joined - waiting) - self.total(joined)
