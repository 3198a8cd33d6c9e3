"""Which batch next, and when waiting pays: arithmetic only."""

from __future__ import annotations

import pytest

from ovenbird_runtime.engine.learning import Lanes
from ovenbird_runtime.serve.models.batching import Costs

CHEAPER = {1: 20.0, 2: 36.0, 4: 64.0, 8: 112.0}
LINEAR = {1: 20.0, 8: 160.0}
DEARER = {1: 19.3, 2: 38.7, 4: 84.3, 8: 181.7}


@pytest.mark.parametrize(("waiting", "size"), [(1, 1), (2, 2), (3, 2), (5, 4), (7, 8), (8, 8), (9, 8), (100, 8)])
def test_batches_as_large_as_they_pay(waiting: int, size: int) -> None:
    assert Costs(CHEAPER, 64).next_batch(waiting, 1) == size


def test_batches_that_cost_more_are_not_run() -> None:
    for waiting in range(1, 65):
        assert Costs(DEARER, 64).next_batch(waiting, 1) == 1


def test_idle_workers_share_what_waits() -> None:
    assert Costs(CHEAPER, 64).next_batch(8, 2) == 4
    assert Costs(CHEAPER, 64).next_batch(2, 4) == 1


def test_largest_batch_is_the_option() -> None:
    costs = Costs(CHEAPER, 4)
    assert costs.largest == 4
    assert costs.next_batch(100, 1) == 4
    assert Costs({8: 100.0, 16: 180.0}, 4).largest == 8  # the smallest there is, where the option is below it


def test_waiting_is_worth_what_it_saves() -> None:
    costs = Costs(CHEAPER, 64)
    assert costs.gain(1, 7) == pytest.approx(20 + min(112, 64 + 36 + 20) - 112)
    assert costs.gain(1, 1) == pytest.approx(20 + 20 - 36)
    assert costs.gain(8, 8) == 0  # full already
    assert Costs(DEARER, 64).gain(1, 7) == 0


@pytest.mark.parametrize(
    ("table", "images", "padded"),
    [
        ({4: 10.0}, 1, 3),
        ({4: 10.0}, 4, 0),
        ({4: 10.0}, 6, 2),
        ({1: 20.0, 4: 30.0}, 3, 1),  # four at once are cheaper than three times one
        ({1: 20.0, 4: 70.0}, 3, 0),
        (CHEAPER, 7, 1),
        (CHEAPER, 16, 0),
    ],
)
def test_padding_is_what_is_computed_for_nobody(table: dict[int, float], images: int, padded: int) -> None:
    assert Costs(table, 64).padding(images) == padded


def test_total_grows_with_the_images() -> None:
    for table in (CHEAPER, LINEAR, DEARER):
        costs = Costs(table, 64)
        totals = [costs.total(n) for n in range(65)]
        assert totals[0] == 0
        assert totals == sorted(totals)


def test_lanes_only_where_no_batch_is_cheaper() -> None:
    dear = Costs(DEARER, 64, Lanes(2, 36.0))
    assert (dear.workers(1), dear.next_batch(8, 2), dear.gain(1, 7)) == (2, 1, 0.0)
    assert dear.total(1) == 19.3
    assert dear.total(8) == pytest.approx(8 * 18.0)
    assert dear.padding(3) == 0
    for costs, lanes in ((CHEAPER, Lanes(2, 36.0)), (DEARER, Lanes(2, 43.0)), (DEARER, Lanes(2, None)), (DEARER, None)):
        plain = Costs(costs, 64, lanes)
        assert plain.workers(1) == 1
        assert plain.total(8) == Costs(costs, 64).total(8)
