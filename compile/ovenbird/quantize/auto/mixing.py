"""Which layers stay in floats, so that few enough answers change: `--precision auto`.

    mixture = choose_mixture(layer_times(points), shares, most=0.01, held=HeldAnswers(network, rows))
    mixture.floats                       # places of layers
    mixture.kept                         # the share of int8's gain that is left

What a layer brings into the answers is measured (`sensitivity.py`), what it saves in time is estimated: int8 gains the
same factor on every layer that multiplies, so the share of the network's time is what counts. The layers with the most
noise for their time become floats, one after the other, until so few answers are expected to change that a count of the
photographs which were left out keeps what is allowed nine times in ten; and until it does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.passes.shapes import static_shape
from ovenbird.quantize.auto.sensitivity import NoiseShares, SwitchedNetwork
from ovenbird.quantize.noise import decibels
from ovenbird.quantize.points import Points
from ovenbird_runtime.tensors.arrays import Array

AIM = 0.5
"""Of the allowed share of other answers, the share that is expected, at most."""
SURE = 0.9
"""How probable a count is to be what is allowed."""
WEIGHT_BYTE, IMAGE_BYTE = 2.5, 1.0
"""Multiply-adds in float32 that take as long as a byte of weights, from memory, and one that a layer reads or writes,
from caches: fitted to the 50 layers of EfficientNet-lite0 on Zen 3, which they give within 15 %. By peaks, weights take
3.3 of a core with 512-bit vectors (76 and 23 a ns)."""


@dataclass(frozen=True)
class Mixture:
    """The choice and what it rests on, in the order of `Points.layers`."""

    floats: frozenset[int]
    times: tuple[float, ...]
    """Shares of the layers' time in float32, estimated."""
    shares: NoiseShares
    most: float
    held: int = 0
    """Photographs that calibration left out, on which it was judged as well."""
    turned: tuple[int, int] = (0, 0)
    """Of those: whose answers change in int8 alone, and as chosen."""

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
        held = {"held": self.held, "held_turned_int8": self.turned[0], "held_turned": self.turned[1]}
        return {
            **(held if self.held else {}),
            "max_disagreement": self.most,
            "expected_int8": round(everywhere, 5),
            "expected": round(self.shares.disagreement(self.floats), 5),
            "gain_kept": round(self.kept, 4),
        }


class HeldAnswers:
    """Counts the answers that change on photographs that calibration left out."""

    def __init__(self, network: SwitchedNetwork, rows: Sequence[Sequence[Array]]) -> None:
        self.network, self.rows = network, list(rows)
        self.right = [network.scores(row, ()).argmax(axis=-1) for row in rows]
        self.order = list(range(len(self.rows)))

    def turned(self, floats: Collection[int], enough: int | None = None) -> int:
        """Return how many change with these layers in floats; counting ends beyond `enough`."""
        whole = [unit for unit in range(self.network.units) if unit not in floats]
        found: list[int] = []
        for at in list(self.order):
            if enough is not None and len(found) > enough:
                break
            if (self.network.scores(self.rows[at], whole).argmax(axis=-1) != self.right[at]).any():
                found.append(at)
        self.order = [*found, *(at for at in self.order if at not in found)]  # those will tell soonest next time
        return len(found)


def choose_mixture(
    times: tuple[float, ...], shares: NoiseShares, most: float, held: HeldAnswers | None = None
) -> Mixture:
    """Choose the layers that stay in floats."""
    count = 0 if held is None else len(held.rows)
    aim, allowed = aimed_share(most, count), math.floor(most * count + 1e-9)
    floats: set[int] = set()
    for place in ordered(shares.layers, times):
        if shares.disagreement(floats) <= aim and (held is None or held.turned(floats, allowed) <= allowed):
            break
        floats.add(place)
    turned = (0, 0) if held is None else (held.turned(()), held.turned(floats))
    return Mixture(frozenset(floats), times, shares, most, count, turned)


def aimed_share(most: float, count: int) -> float:
    """Return which share of answers may be expected to change, so that of `count` no more than `most` will."""
    allowed = math.floor(most * count + 1e-9)

    def kept(share: float) -> float:
        return sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(allowed + 1))

    low, high = 0.0, most * AIM
    if not count or kept(high) >= SURE:
        return high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if kept(middle) >= SURE else (low, middle)
    return low


def ordered(noises: Sequence[float], times: Sequence[float]) -> list[int]:
    """Return the layers' places, the most noise for its time first."""
    return sorted(range(len(noises)), key=lambda place: -noises[place] / max(times[place], 1e-9))


def layer_times(points: Points) -> tuple[float, ...]:
    """Return the share of each layer in the time of all, estimated by its products, its weights and its images."""
    costs = []
    for var in points.layers:
        call: Any = points.graph.definitions[var]
        shapes = [np.array(static_shape(one) or (1,), np.float64) for one in (*call.args[:2], var)]
        data, weight, result = (4 * shape.prod() for shape in shapes)  # bytes
        row = shapes[1][1:].prod() if points.graph.name(var) != "relax.matmul" else shapes[1][0]
        costs.append(float(result / 4 * row + WEIGHT_BYTE * weight + IMAGE_BYTE * (data + result)))
    return tuple(cost / sum(costs) for cost in costs)
