"""Which batch to run next, and whether to wait for more: arithmetic on measured costs, without threads or clocks.

costs = Costs({1: 18.8, 8: 120.0})
costs.next_batch(waiting=9, workers=1)         # 8
costs.gain(waiting=1, coming=7)                # ms saved if the seven that are being decoded come along
"""

from __future__ import annotations

from collections.abc import Mapping

from ..compose import plan_batches


class Costs:
    """The cost of each compiled batch size, in ms."""

    def __init__(self, costs: Mapping[int, float], largest: int) -> None:
        """Keep the sizes up to `largest` (the smallest size at least)."""
        smallest = min(costs)
        self.table = {size: cost for size, cost in costs.items() if size <= max(largest, smallest)}
        self.largest = max(self.table)

    def total(self, images: int) -> float:
        """Give the ms that `images` take, one batch after the other."""
        return sum(self.table[size] for size in plan_batches(images, self.table)) if images > 0 else 0.0

    def next_batch(self, waiting: int, workers: int) -> int:
        """Give the compiled size to run first so that `waiting` images are finished soonest by `workers` idle workers.

        The largest of the plan comes first: what is left over may still grow by what arrives meanwhile.
        """
        share = -(-waiting // max(1, workers))
        return plan_batches(share, self.table)[0]

    def gain(self, waiting: int, coming: int) -> float:
        """Give the ms that are saved when `coming` images are waited for and join, as far as one batch can hold."""
        joined = min(waiting + coming, self.largest)
        return self.total(waiting) + self.total(joined - waiting) - self.total(joined)
