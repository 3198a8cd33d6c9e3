"""What each batch size costs is learned from calls, and the cheapest composition then used."""

from __future__ import annotations

import pytest

from ovenbird_runtime.engine.compose import plan_batches
from ovenbird_runtime.engine.learning import LearnedCosts


def run(costs: LearnedCosts, count: int, times: dict[int, float]) -> tuple[int, ...]:
    plan = costs.plan(count)
    for size in plan:
        costs.observe(size, times[size])
    return plan


@pytest.mark.parametrize(("times", "best"), [({1: 15.0, 8: 150.0}, (1,) * 8), ({1: 15.0, 8: 90.0}, (8,))])
def test_the_cheaper_composition_wins_after_a_few_calls(times: dict[int, float], best: tuple[int, ...]) -> None:
    costs = LearnedCosts({1: None, 8: None})
    plans = [run(costs, 8, times) for _ in range(6)]
    assert {(8,), (1,) * 8} <= set(plans)
    assert plans[-1] == best
    assert costs.table == times


def test_every_plan_takes_all_images() -> None:
    costs = LearnedCosts({1: None, 4: None, 16: None})
    for count in range(1, 40):
        assert sum(run(costs, count, {1: 1.0, 4: 3.0, 16: 20.0})) >= count


def test_the_first_call_of_a_size_does_not_count() -> None:
    costs = LearnedCosts({1: None})
    for milliseconds in (500.0, 16.0, 15.0, 400.0):
        costs.observe(1, milliseconds)
    assert costs.table == {1: 15.0}


def test_what_is_known_is_kept() -> None:
    costs = LearnedCosts({1: 15.0, 8: 90.0})
    for _ in range(5):
        costs.observe(8, 1.0)
    assert costs.table == {1: 15.0, 8: 90.0}
    assert costs.plan(8) == (8,)


def test_one_image_never_waits_for_a_larger_size_to_be_learned() -> None:
    assert LearnedCosts({1: None, 8: None}).plan(1) == (1,)


def test_lanes_are_tried_then_used_where_they_pay() -> None:
    for lane, pays in ((28.0, True), (31.0, False)):
        costs = LearnedCosts({1: 15.0, 8: 125.0}, lanes=2)
        assert costs.plan(8) == (1,) * 8
        for _ in range(18):
            costs.observe_lane(lane)
        assert costs.lanes_pay(crowded=False) is pays
        assert costs.lanes_pay(crowded=True)
        assert costs.plan(8) == ((1,) * 8 if pays else plan_batches(8, {1: 15.0, 8: 125.0}))
    cheap = LearnedCosts({1: 15.0, 8: 90.0}, lanes=2)
    for _ in range(18):
        cheap.observe_lane(28.0)
    assert cheap.plan(8) == (8,)  # 90 ms, where lanes take 112
    assert cheap.plan(1) == (1,)


def test_a_lane_costs_what_it_does_in_a_crowd() -> None:
    costs = LearnedCosts({1: 15.0}, lanes=2)
    for milliseconds in (90.0, 80.0, 15.0, 29.0, *[30.0] * 12, 31.0, 45.0):
        costs.observe_lane(milliseconds)
    assert costs.lane == 30.0
