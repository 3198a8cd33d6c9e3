"""Ratios of what was asked moments apart, each with what it is worth.

    rate_ratio("requests/s, ours over unbatched", 8, pairs)     # {"by_turn": {"median": 0.99, "ci": [0.97, 1.02], ...
    p99_ratio("p99, ours over unbatched", 8, pairs)             # {"pooled": 0.91, "least": 0.85, "most": 1.04, ...}

`pairs` holds for each round its turns, each turn of ours with the other's of the same pass: a machine's speed
changes from second to second, and seconds apart it is the same more often than minutes apart.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from asking import Turn, pool
from scipy import stats

Pairs = Sequence[Sequence[tuple[Turn, Turn]]]
CONFIDENCE = 0.95


def percentile(times_ms: Sequence[int], share: float) -> float:
    """Return a percentile of times in whole ms, each taken as spread evenly over its millisecond (as
    statistics.median_grouped does for the median).
    """
    values, counts = np.unique(times_ms, return_counts=True)
    below = np.cumsum(counts) - counts
    place = int(np.searchsorted(below, share * len(times_ms), side="right")) - 1
    return float(values[place] - 0.5 + (share * len(times_ms) - below[place]) / counts[place])


def rate_ratio(what: str, concurrency: int, pairs: Pairs) -> dict[str, Any]:
    """Return the median of the turns' ratios of requests/s with its exact interval; the rounds' median, least, most.

    A pair in whose middle the machine changed its speed is off by a factor: it would move a mean and widen Student's
    interval, but is one of many to a median. Fewer than six turns have no interval.
    """
    ratios = [ours.per_second / theirs.per_second for turns in pairs for ours, theirs in turns]
    by_turn: dict[str, Any] = {"median": round(statistics.median(ratios), 3), "turns": len(ratios)}
    interval = stats.quantile_test(ratios, p=0.5).confidence_interval(CONFIDENCE)
    if np.isfinite(interval).all():
        by_turn["ci"] = [round(float(bound), 3) for bound in interval]
    return _by_round(what, concurrency, pairs, lambda turn: turn.per_second) | {"by_turn": by_turn}


def p99_ratio(what: str, concurrency: int, pairs: Pairs) -> dict[str, Any]:
    """Return the ratio of the p99 of all requests, and the rounds' median, least and most."""
    ours, theirs = (pool([turn[side] for turns in pairs for turn in turns]) for side in (0, 1))
    found = _by_round(what, concurrency, pairs, lambda turn: percentile(turn.times_ms, 0.99))
    pooled = percentile(ours.times_ms, 0.99) / percentile(theirs.times_ms, 0.99)
    return found | {"pooled": round(pooled, 3), "requests": [len(ours.times_ms), len(theirs.times_ms)]}


def _by_round(what: str, concurrency: int, pairs: Pairs, figure: Callable[[Turn], float]) -> dict[str, Any]:
    rounds = [tuple(pool([turn[side] for turn in turns]) for side in (0, 1)) for turns in pairs]
    ratios = [figure(ours) / figure(theirs) for ours, theirs in rounds]
    middle, least, most = (round(value, 3) for value in (statistics.median(ratios), min(ratios), max(ratios)))
    failed = sum(turn.failed for both in rounds for turn in both)
    return {
        "what": what,
        "concurrency": concurrency,
        "median": middle,
        "least": least,
        "most": most,
        "failed": failed,
    }
