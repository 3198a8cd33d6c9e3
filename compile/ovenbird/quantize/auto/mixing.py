"""Which layers stay in floats, so that few enough answers change: `--precision auto`.

    mixture = choose_mixture(layer_times(points, narrow), shares, most=0.01, held=HeldAnswers(network, rows))
    mixture.floats, mixture.exact        # places of layers; those of them in float32 where others are in bfloat16
    mixture.saved, mixture.saved_int8    # shares of the time in float32: as chosen, and of int8 alone

What a layer brings into the answers is measured (`sensitivity.py`), what it saves in time is estimated (`times.py`).
Layers that save nothing stay in floats. Then steps are taken by the noise that each takes away for the time that it
costs, the most first: a layer of int8 becomes one of floats (bfloat16, where the processor multiplies that and it
pays), one of bfloat16 becomes float32. That ends where so few answers are expected to change that a count of the
photographs which were left out keeps what is allowed nine times in ten; and where it does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ovenbird.quantize.auto.sensitivity import NoiseShares, SwitchedNetwork
from ovenbird.quantize.auto.times import LayerTime
from ovenbird.quantize.noise import decibels
from ovenbird_runtime.tensors.arrays import Array

AIM = 0.5
"""Of the allowed share of other answers, the share that is expected, at most."""
SURE = 0.9
"""How probable a count is to be what is allowed."""
NEAR = 0.5
"""Of what answers are off by, the lead below which a class that is still right is not counted on: compiled code rounds
otherwise than what is chosen by."""
ROUNDED_APART = 1.64
"""Deviations of what rounding to bfloat16 makes of two scores' difference, of which nothing is computed, that a lead
has to have besides: enough 19 times in 20."""
HALF, KEPT = 0.5, 0.9
"""Where it leaves so much of what int8 saves, int8's share of other answers is halved, whatever is allowed."""


@dataclass(frozen=True)
class Mixture:
    """The choice and what it rests on, in the order of `Points.layers`."""

    floats: frozenset[int]
    times: tuple[LayerTime, ...]
    """Estimated."""
    shares: NoiseShares
    most: float
    exact: frozenset[int] = frozenset()
    """Of those in floats: that multiply float32."""
    held: int = 0
    """Photographs that calibration left out, on which it was judged as well."""
    turned: tuple[int, int] = (0, 0)
    """Of those: whose answers change in int8 alone, and as chosen."""

    @property
    def saved(self) -> float:
        """The share of the layers' time in float32 that is saved."""
        return saved_share(self.times, self.floats, self.exact)

    @property
    def saved_int8(self) -> float:
        """The share that int8 alone would save."""
        return saved_share(self.times, ())

    def rows(self) -> list[dict[str, Any]]:
        """Return what is said of each layer, as JSON values."""
        ranks = {place: rank + 1 for rank, place in enumerate(ordered(self.shares.layers, self.times))}
        total = sum(time.floats for time in self.times)
        found = []
        for place, (noise, time) in enumerate(zip(self.shares.layers, self.times, strict=True)):
            why = f"noise for the time it saves: {ranks[place]} of {len(ranks)}"
            rounds = place in self.floats and place not in self.exact
            if place in self.floats:
                why = (
                    f"{why}, among those that cost the most answers" if time.saved > 0 else "whole numbers save no time"
                )
            found.append(
                {
                    "precision": "bf16" if rounds else "f32" if place in self.floats else "int8",
                    "time": round(time.floats / total, 4),
                    "saved": round((time.floats - time.whole) / total, 4),
                    **({} if time.halves is None else {"saved_bf16": round((time.floats - time.halves) / total, 4)}),
                    "answers_db": round(decibels(self.shares.signal, noise), 1),
                    "why": why,
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
            "expected": round(self.shares.disagreement(self.floats, self.exact), 5),
            "saved_int8": round(self.saved_int8, 4),
            "saved": round(self.saved, 4),
        }


class HeldAnswers:
    """Counts the answers that change on photographs that calibration left out."""

    def __init__(self, network: SwitchedNetwork, rows: Sequence[Sequence[Array]]) -> None:
        self.network, self.rows = network, list(rows)
        self.right = [network.scores(row, ()) for row in rows]
        self.order = list(range(len(self.rows)))

    def turned(self, floats: Collection[int], enough: int | None = None, near: float = 0.0, apart: float = 0.0) -> int:
        """Return how many change with these layers in floats, or lead by less than `near` of what they are off by and
        `apart`; counting ends beyond `enough`.
        """
        whole = [unit for unit in range(self.network.units) if unit not in floats]
        found: list[int] = []
        for at in list(self.order):
            if enough is not None and len(found) > enough:
                break
            given = self.network.scores(self.rows[at], whole)
            if (lead(given, self.right[at]) < near * (given - self.right[at]).std(axis=-1) + apart).any():
                found.append(at)
        self.order = [*found, *(at for at in self.order if at not in found)]  # those will show it soonest next time
        return len(found)


def lead(given: Array, right: Array) -> Array:
    """Return by how much the right class leads in each row of scores [..., classes]; 0 or less where another does."""
    best = right.argmax(axis=-1, keepdims=True)
    others = given.copy()
    np.put_along_axis(others, best, -np.inf, axis=-1)
    found: Array = np.take_along_axis(given, best, axis=-1)[..., 0] - others.max(axis=-1)
    return found


def choose_mixture(
    times: tuple[LayerTime, ...], shares: NoiseShares, most: float, held: HeldAnswers | None = None
) -> Mixture:
    """Choose the layers that stay in floats."""
    count = 0 if held is None else len(held.rows)
    aim, allowed = aimed_share(most, count), math.floor(most * count + 1e-9)
    half, least = HALF * shares.disagreement(()), KEPT * max(saved_share(times, ()), 0.0)
    floats = {place for place, time in enumerate(times) if time.saved <= 0}
    if len(floats) == len(times):  # it was asked for, all the same
        floats = set()
    exact = {place for place, time in enumerate(times) if time.halves is None}

    def keeps() -> bool:
        if shares.disagreement(floats, exact) > aim:
            return False
        apart = ROUNDED_APART * math.sqrt(2 * shares.factor * shares.rounding(floats, exact))
        return held is None or held.turned(floats, allowed, NEAR, apart) <= allowed

    for place, rounds in steps(times, shares):
        if not rounds and place in floats:
            continue
        ahead = ({*floats, place}, {*exact, place} if rounds else exact)
        cheap = shares.disagreement(floats, exact) > half and saved_share(times, *ahead) >= least
        if not cheap and keeps():
            break
        floats, exact = ahead
    turned = (0, 0) if held is None else (held.turned(()), held.turned(floats))
    return Mixture(frozenset(floats), times, shares, most, frozenset(exact & floats), count, turned)


def steps(times: Sequence[LayerTime], shares: NoiseShares) -> list[tuple[int, bool]]:
    """Return the steps from int8 everywhere to float32 everywhere, the most noise for its time first: which layer, and
    whether it goes from bfloat16 to float32; that comes after its other one.
    """
    found: list[tuple[float, int, bool]] = []
    for place, (noise, time) in enumerate(zip(shares.layers, times, strict=True)):
        left = shares.rounded[place] if time.halves is not None else 0.0
        first = (noise - left) / max(time.saved, 1e-9)
        found.append((-first, place, False))
        if time.halves is not None:
            found.append((-min(left / max(time.floats - time.halves, 1e-9), first), place, True))
    return [(place, rounds) for _, place, rounds in sorted(found, key=lambda step: (step[0], step[2]))]


def saved_share(times: Sequence[LayerTime], floats: Collection[int], exact: Collection[int] = ()) -> float:
    """Return the share of the layers' time in float32 that is saved with these in floats, some in float32."""
    total = sum(time.floats for time in times)

    def taken(place: int, time: LayerTime) -> float:
        if place not in floats:
            return time.whole
        return time.floats if place in exact else time.left

    return 1 - sum(taken(place, time) for place, time in enumerate(times)) / total


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


def ordered(noises: Sequence[float], times: Sequence[LayerTime]) -> list[int]:
    """Return the layers' places, the most noise for the time that it saves first."""
    return sorted(range(len(noises)), key=lambda place: -noises[place] / max(times[place].saved, 1e-9))
