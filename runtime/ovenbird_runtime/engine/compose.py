"""Compose a batch of any size from the sizes an artifact was compiled for, by their measured cost.

plan_batches(11, {1: 40.0, 8: 250.0})     # (8, 1, 1, 1): 370 ms; (8, 8) with five rows of padding would be
500 plan_batches(7, {1: 40.0, 8: 250.0})      # (8,): one row of padding beats seven calls
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

# Where nothing was measured: a call costs a little on top of its images, so that larger sizes are preferred,
# padding is not.
_CALL_COST_IN_IMAGES = 0.1


def plan_batches(count: int, costs: Mapping[int, float | None]) -> tuple[int, ...]:
    """Return the compiled batch sizes to run, largest first, that together take `count` >= 1 images at the least cost.

    `costs` maps each compiled size to its measured time (any unit), or to None where it was not measured; only if all
    are measured are the measurements used. The sum may exceed `count`: the rest of the last call is padding.
    """
    measured = all(cost is not None for cost in costs.values())
    table = tuple(
        sorted((size, cost if measured and cost else size + _CALL_COST_IN_IMAGES) for size, cost in costs.items())
    )
    return _plan(count, table)


@lru_cache(maxsize=4096)
def _plan(count: int, table: tuple[tuple[int, float], ...]) -> tuple[int, ...]:
    largest = table[-1][0]
    bulk, _ = min(table, key=lambda pair: (pair[1] / pair[0], -pair[0]))
    # Far from the end the cheapest size an image is best; only the last stretch is worth an exact search.
    tail = min(count, max(4 * largest, bulk))
    whole = (count - tail) // bulk
    tail = count - whole * bulk
    best: list[tuple[float, int]] = [(0.0, 0)]  # least cost to take n images, and the size that ends it
    for n in range(1, tail + 1):
        best.append(min((best[max(0, n - size)][0] + cost, -size) for size, cost in table))
    sizes = []
    while tail > 0:
        size = -best[tail][1]
        sizes.append(size)
        tail -= size
    return tuple(sorted([bulk] * whole + sizes, reverse=True))
