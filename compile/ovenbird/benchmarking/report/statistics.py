"""Medians, spreads and paired ratios, on Python's own `statistics`.

    spread([18.9, 19.0, 18.7])                  # Spread(median=18.9, low=18.7, high=19.0)
    paired_ratio(ours, theirs)                  # Spread of ours/theirs round by round

A ratio is taken within each round, whose processes ran one after the other, so that what changes slowly (clock,
neighbours on the host) cancels out.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A median with the least and the greatest value."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Return the median and the extremes of at least one value."""
    return Spread(statistics.median(values), min(values), max(values))


def paired_ratio(ours: Sequence[float], theirs: Sequence[float]) -> Spread:
    """Return the spread of ours/theirs over rounds; both have one value a round, in the same order."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """Return the first and the third quartile; of one value, that value twice."""
    if len(values) < 2:
        return values[0], values[0]
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def percentile(values: Sequence[float], percent: int) -> float:
    """Return what `percent` of the values are at most; of one value, that value."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
