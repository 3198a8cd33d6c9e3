"""What each layer should take by the machine's limits, next to what it takes, and whether the two order layers alike.

    rows = with_estimates(profile_rows, layers, {"gflops": 91.0, "gbytes_per_s": 12.0})
    rank_correlation(rows)      # 0.95: 1 is the same order, 0 none

The estimate is what `backends.cpu.algorithms` weighs algorithms by: multiply-adds at a share of their limit, data at
that of memory, of which caches bring some faster.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

DENSE = ("conv", "matmul", "batch_matmul", "winograd", "attention")
"""What the kinds of layers that use each value many times begin with."""

EFFICIENCY = 0.8
"""Share of the multiply-add limit that products reach in a network."""

CACHE_RATE = 2.0
"""How many times as fast as memory the caches bring what layers hand to one another."""

CALL_SECONDS = 2e-6
"""A call by itself, and the start of other threads."""


def with_estimates(
    rows: Sequence[Mapping[str, Any]], layers: Mapping[str, Any], limits: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return the rows of a profile that are compiled layers, with `estimate_ms`."""
    known = [row for row in rows if row["name"] in layers]
    return [{**row, "estimate_ms": estimate_ms(row, layers[row["name"]], limits)} for row in known]


def estimate_ms(row: Mapping[str, Any], layer: Mapping[str, Any], limits: Mapping[str, float]) -> float:
    """Return the milliseconds of all calls of a layer.

    Where values are used many times they arrive before the arithmetic begins; else the two go side by side.
    """
    arithmetic = float(layer["flops"]) * row["calls"] / (limits["gflops"] * EFFICIENCY * 1e9)
    data = row["bytes"] / (limits["gbytes_per_s"] * CACHE_RATE * 1e9)
    seconds = arithmetic + data if layer["kind"].startswith(DENSE) else max(arithmetic, data)
    return float((seconds + row["calls"] * CALL_SECONDS) * 1e3)


def rank_correlation(rows: Sequence[Mapping[str, Any]]) -> float:
    """Return Spearman's coefficient of the estimated and the measured time of a call; 1 for fewer than two layers."""
    if len(rows) < 2:
        return 1.0
    estimated, measured = (ranks([row[key] / row["calls"] for row in rows]) for key in ("estimate_ms", "ms"))
    return float(np.corrcoef(estimated, measured)[0, 1])


def ranks(values: Sequence[float]) -> list[float]:
    """Return the place of each value in ascending order; equal values share the mean of their places."""
    array = np.asarray(values)
    below, equal = (array[None, :] < array[:, None]).sum(1), (array[None, :] == array[:, None]).sum(1)
    return [float(place) for place in below + (equal - 1) / 2]
