"""Which layers stay in floats, so that few enough answers change: `--precision auto`.

    mixture = choose_mixture(layer_times(points), shares, most=0.01)
    mixture.floats                       # places of layers
    mixture.kept                         # the share of int8's gain that is left

What a layer brings into the answers is measured (`sensitivity.py`), what it saves in time is estimated: int8 gains the
same factor on every layer that multiplies, so the share of the network's time is what counts. The layers with the most
noise for their time become floats, one after the other, until half as many answers as are allowed are expected to
change: a count of few photographs scatters by as much again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.auto.sensitivity import NoiseShares
from ovenbird.quantize.noise import decibels
from ovenbird.quantize.points import Points

AIM = 0.5
"""Of the allowed share of other answers, the share that is expected."""
MULTIPLIES_PER_BYTE = 3.3
"""Multiply-adds that a core with 512-bit vectors does in float32 while it reads a byte of weights (76 and 23 a ns)."""


@dataclass(frozen=True)
class Mixture:
    """The choice and what it rests on, in the order of `Points.layers`."""

    floats: frozenset[int]
    times: tuple[float, ...]
    """Shares of the layers' time in float32, estimated."""
    shares: NoiseShares
    most: float

    @property
    def kept(self) -> float:
        """The share of int8's gain that is left."""
        return 1 - sum(self.times[place] for place in self.floats)

    def rows(self) -> list[dict[str, Any]]:
        """Return what is said of each layer, as JSON values."""
        ranks = {place: rank + 1 for rank, place in enumerate(ordered(self.shares.layers, self.times))}
        found = []
        for place, noise in enumerate(self.shares.layers):
            why = f"noise for its time: {ranks[place]} of {len(ranks)}"
            found.append(
                {
                    "precision": "f32" if place in self.floats else "int8",
                    "time": round(self.times[place], 4),
                    "answers_db": round(decibels(self.shares.signal, noise), 1),
                    "why": f"{why}{', among those that cost the most answers' if place in self.floats else ''}",
                }
            )
        return found

    def document(self) -> dict[str, Any]:
        """Return the whole choice as JSON values."""
        everywhere = self.shares.disagreement(())
        return {
            "max_disagreement": self.most,
            "expected_int8": round(everywhere, 5),
            "expected": round(self.shares.disagreement(self.floats), 5),
            "gain_kept": round(self.kept, 4),
        }


def choose_mixture(times: tuple[float, ...], shares: NoiseShares, most: float) -> Mixture:
    """Choose the layers that stay in floats."""
    floats: set[int] = set()
    for place in ordered(shares.layers, times):
        if shares.disagreement(floats) <= most * AIM:
            break
        floats.add(place)
    return Mixture(frozenset(floats), times, shares, most)


def ordered(noises: Sequence[float], times: Sequence[float]) -> list[int]:
    """Return the layers' places, the most noise for its time first."""
    return sorted(range(len(noises)), key=lambda place: -noises[place] / max(times[place], 1e-9))


def layer_times(points: Points) -> tuple[float, ...]:
    """Return the share of each layer in the time of all, estimated by its products and its weights' bytes."""
    costs = []
    for var in points.layers:
        call: Any = points.graph.definitions[var]
        weight, result = (np.array(static_shape(one) or (1,), np.float64) for one in (call.args[1], var))
        row = weight[1:].prod() if points.graph.name(var) != "relax.matmul" else weight[0]
        costs.append(float(result.prod() * row + 4 * weight.prod() * MULTIPLIES_PER_BYTE))
    return tuple(cost / sum(costs) for cost in costs)
