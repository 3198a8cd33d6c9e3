"""Medians, paired ratios, quartiles: small numbers checked by hand."""

import pytest

from ovenbird.benchmarking.report.statistics import Spread, paired_ratio, percentile, quartiles, spread
from ovenbird.benchmarking.rounds import rotated


def test_spread_is_median_with_extremes() -> None:
    assert spread([18.9, 19.4, 18.7]) == Spread(18.9, 18.7, 19.4)


def test_ratio_is_taken_within_each_round() -> None:
    # The ratio of the medians, of the least and of the sorted rounds are all others.
    ours, theirs = [9.0, 20.0, 12.0], [10.0, 40.0, 10.0]
    assert paired_ratio(ours, theirs) == Spread(0.9, 0.5, 1.2)


def test_ratio_needs_the_same_rounds() -> None:
    with pytest.raises(ValueError, match="argument"):
        paired_ratio([1.0, 2.0], [1.0])


@pytest.mark.parametrize(("values", "expected"), [([4.0], (4.0, 4.0)), ([1.0, 2.0, 3.0, 4.0, 5.0], (2.0, 4.0))])
def test_quartiles_are_interpolated(values: list[float], expected: tuple[float, float]) -> None:
    assert quartiles(values) == expected


def test_percentile_is_what_so_many_are_below() -> None:
    assert percentile([7.0], 99) == 7.0
    assert percentile([float(value) for value in range(101)], 99) == 99.0
    assert percentile([1.0] * 99 + [50.0] * 101, 99) == 50.0


def test_every_engine_has_every_place_once() -> None:
    names = ["a", "b", "c"]
    orders = [rotated(names, turn) for turn in range(3)]
    assert orders[0] == names
    for place in range(3):
        assert {order[place] for order in orders} == set(names)
