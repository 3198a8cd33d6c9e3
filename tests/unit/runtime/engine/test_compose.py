"""Batches composed from the compiled sizes at the least cost."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from ovenbird_runtime.engine.compose import plan_batches


@pytest.mark.parametrize(
    ("count", "costs", "plan"),
    [
        (1, {1: 40.0, 8: 250.0}, (1,)),
        (7, {1: 40.0, 8: 250.0}, (8,)),
        (8, {1: 40.0, 8: 250.0}, (8,)),
        (11, {1: 40.0, 8: 250.0}, (8, 1, 1, 1)),
        (6, {1: 40.0, 8: 250.0}, (1,) * 6),
        (5, {1: 1.0, 4: 8.0}, (1,) * 5),
        (5, {1: None, 4: None}, (4, 1)),
        (5, {1: 1.0, 4: None}, (4, 1)),
        (3, {4: None}, (4,)),
        (9, {4: 2.0}, (4, 4, 4)),
        (1, {8: 0.0}, (8,)),
    ],
)
def test_a_batch_is_composed_of_the_cheapest_sizes(
    count: int, costs: dict[int, float | None], plan: tuple[int, ...]
) -> None:
    assert plan_batches(count, costs) == plan


def test_no_plan_is_cheaper() -> None:
    rng = random.Random(1)
    for _ in range(100):
        sizes = rng.sample(range(1, 9), rng.randint(1, 3))
        costs: dict[int, float | None] = {size: rng.uniform(0.5, 1.5) * size**0.8 for size in sizes}
        count = rng.randint(1, 12)
        plan = plan_batches(count, costs)
        best = min(
            sum(costs[s] or 0 for s in many)
            for length in range(1, math.ceil(count / min(sizes)) + 1)
            for many in itertools.combinations_with_replacement(sizes, length)
            if sum(many) >= count
        )
        assert sum(costs[s] or 0 for s in plan) == pytest.approx(best)
        assert sum(plan) >= count
        assert sum(plan[:-1]) < count


def test_large_counts_are_quick() -> None:
    plan = plan_batches(1_000_003, {1: 40.0, 8: 250.0})
    assert sum(plan) >= 1_000_003
    assert plan[0] == 8
