"""What was seen of a tensor, and the scale and zero point that follow from it.

    seen = Seen()
    seen.add(array)                          # a picture's values
    choose_range(seen, "mse")                # LevelRange(scale=0.0235, zero=0)

Methods: `max` takes all that was seen. `percentile` leaves the outermost 0.01 % out. `mse` takes the range with the
least mean square error (Banner et al. 2019, https://arxiv.org/abs/1810.05723). `entropy` takes the one whose histogram
is nearest in Kullback-Leibler divergence (Migacz 2017, TensorRT's calibration).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ovenbird.options import RangeMethod
from ovenbird_runtime.tensors.arrays import Array

LEVELS = 255
SAMPLES = 4096
"""Values kept of a tensor for each picture, drawn evenly; the least and the greatest are exact."""
PERCENTILE = 99.99
SHARES = np.linspace(0.3, 1.0, 36)
"""Of the whole range, the parts that are tried."""
BINS = 2048
LEAST_SCALE = 1e-8


@dataclass(frozen=True)
class LevelRange:
    """A scale and a zero point of uint8."""

    scale: float
    zero: int

    @staticmethod
    def of(low: float, high: float) -> LevelRange:
        """Return the range that holds these two and zero; zero is one of its levels."""
        low, high = min(low, 0.0), max(high, 0.0)
        scale = float(np.float32(max((high - low) / LEVELS, LEAST_SCALE)))
        return LevelRange(scale, int(np.clip(np.rint(-low / scale), 0, LEVELS)))

    def through(self, values: Array) -> Array:
        """Return values quantized, and back."""
        levels = np.clip(np.rint(values / np.float32(self.scale)) + self.zero, 0, LEVELS)
        found: Array = (levels - self.zero) * np.float32(self.scale)
        return found


@dataclass
class Seen:
    """The least and the greatest value, samples, and each channel's mean; `most`: samples of a picture."""

    low: float = np.inf
    high: float = -np.inf
    samples: list[Array] = field(default_factory=list)
    sums: Array | None = None
    pictures: int = 0
    most: int = SAMPLES

    def add(self, array: Array) -> None:
        """Take in the values of one picture, [N, C, ...] or [..., C]."""
        self.low, self.high = min(self.low, float(array.min())), max(self.high, float(array.max()))
        flat = array.reshape(-1)
        random = np.random.default_rng(self.pictures)
        self.samples.append(flat if flat.size <= self.most else flat[random.integers(0, flat.size, self.most)])
        axis = 1 if array.ndim == 4 else array.ndim - 1
        means = array.mean(axis=tuple(at for at in range(array.ndim) if at != axis), dtype=np.float64)
        self.sums = means if self.sums is None else self.sums + means
        self.pictures += 1

    def add_samples(self, samples: Array) -> None:
        """Take in values that no picture gave: they have no part in the means."""
        self.low, self.high = min(self.low, float(samples.min())), max(self.high, float(samples.max()))
        self.samples.append(samples)

    @property
    def means(self) -> Array:
        """The mean of each channel: of axis 1 of images, of the last axis of others."""
        assert self.sums is not None
        found: Array = self.sums / self.pictures
        return found

    @property
    def values(self) -> Array:
        """The samples of all pictures, the extremes among them."""
        return np.concatenate([*self.samples, np.array([self.low, self.high], np.float32)])


def choose_range(seen: Seen, method: RangeMethod) -> LevelRange:
    """Return the range that a method takes for what was seen."""
    return METHODS[method](seen)


def by_maximum(seen: Seen) -> LevelRange:
    """Take the least and the greatest."""
    return LevelRange.of(seen.low, seen.high)


def by_percentile(seen: Seen) -> LevelRange:
    """Leave the outermost values out."""
    values = seen.values
    low, high = (
        np.percentile(values, 100 - PERCENTILE, method="higher"),
        np.percentile(values, PERCENTILE, method="lower"),
    )
    return LevelRange.of(float(low), float(high))


def by_error(seen: Seen) -> LevelRange:
    """Take the part of the range with the least mean square error."""
    values = seen.values

    def error(part: LevelRange) -> float:
        gap = part.through(values) - values
        return float(np.vdot(gap, gap))

    return min((LevelRange.of(seen.low * share, seen.high * share) for share in SHARES[::-1]), key=error)


def by_entropy(seen: Seen) -> LevelRange:
    """Take the part of the range whose levels say most of the distribution."""
    size = max(-seen.low, seen.high)
    if not size:
        return by_maximum(seen)
    counts, _ = np.histogram(np.abs(seen.values), BINS, (0, size))
    signed = seen.low < 0 and seen.high > 0
    levels = (LEVELS + 1) // 2 if signed else LEVELS + 1
    best, least = BINS, np.inf
    for stop in range(levels, BINS + 1, levels // 8):
        found = _divergence(counts, stop, levels)
        if found < least:
            best, least = stop, found
    limit = size * best / BINS
    return LevelRange.of(max(seen.low, -limit), min(seen.high, limit))


def _divergence(counts: Array, stop: int, levels: int) -> float:
    """Return the divergence between a clipped histogram and itself in so many levels."""
    right = counts[:stop].astype(np.float64)
    right[-1] += counts[stop:].sum()
    group = np.arange(stop) * levels // stop
    filled = (counts[:stop] > 0).astype(np.float64)
    totals = np.bincount(group, counts[:stop], levels)
    shares = np.bincount(group, filled, levels)
    given = np.where(filled > 0, (totals / np.maximum(shares, 1))[group], 0.0)
    right, given = right / max(right.sum(), 1e-30), given / max(given.sum(), 1e-30)
    places = right > 0
    return float((right[places] * np.log(right[places] / np.maximum(given[places], 1e-12))).sum())


METHODS: dict[RangeMethod, Callable[[Seen], LevelRange]] = {
    "max": by_maximum,
    "percentile": by_percentile,
    "mse": by_error,
    "entropy": by_entropy,
}
