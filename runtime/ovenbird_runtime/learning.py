"""Learns on this machine what each compiled batch size costs, from the calls themselves.

    costs = LearnedCosts({1: None, 8: None})
    costs.plan(8)              # (8,) while batch 8 is new, (1,) * 8 while batch 1 is, then whatever took less time

Large batches are not always cheaper: eight images' activations may leave the caches that one image's fit into. An
artifact carries no times of the machine that compiled it (its bytes would differ from one compilation to the next).
"""

from __future__ import annotations

from collections.abc import Mapping

from .compose import plan_batches

#: Times taken of a size before they count, and how many first calls (page faults, cold caches) come before them.
_SAMPLES, _WARM_UP = 2, 1


class LearnedCosts:
    """Costs in ms by batch size, in `table`; a size that is None there is learned, one that has a number is kept."""

    def __init__(self, known: Mapping[int, float | None]) -> None:
        """Begin with what is known."""
        self.table: dict[int, float | None] = dict(known)
        self._seen: dict[int, list[float]] = {}

    def plan(self, count: int) -> tuple[int, ...]:
        """Give the batch sizes for `count` images: the cheapest, or sizes not yet known where they would fit."""
        table = dict(self.table)
        smallest = min(table)
        fitting = {size: cost for size, cost in table.items() if size <= count or size == smallest}
        unknown = [size for size, cost in fitting.items() if cost is None]
        if len(fitting) == 1 or not unknown:
            if all(cost is not None for cost in table.values()):
                return plan_batches(count, table)
            return plan_batches(count, fitting if len(fitting) > 1 else table)
        size = max(unknown)
        rest = count % size
        return (size,) * (count // size) + (self.plan(rest) if rest else ())

    def observe(self, size: int, milliseconds: float) -> None:
        """Take note of one call's time. Safe from several threads: the least of some times needs no order."""
        if self.table.get(size, 0.0) is not None:
            return
        seen = self._seen.setdefault(size, [])
        seen.append(milliseconds)
        if len(seen) >= _WARM_UP + _SAMPLES:
            self.table[size] = min(seen[_WARM_UP:])
