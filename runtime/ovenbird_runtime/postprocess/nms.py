"""Which of many overlapping boxes stay: non-maximum suppression, hard or soft.

    kept = suppress(boxes, scores, classes, iou=0.45, most=100)         # indices, the best first
    kept, lowered = suppress_softly(boxes, scores, classes, score=0.25, most=100)

Hard suppression is torchvision's `nms`, class by class: the best box stays, and of the others those go whose
intersection over union with it is above `iou`, computed in float32 (`torchvision/csrc/ops/cpu/nms_kernel.cpp`); then
the best of what is left. Equal scores stand in the order of their indices.

Written by hand: a target has numpy only. Boxes are sorted and compared in portions, and no further than the answer
needs, so that 10,000 of them take a millisecond.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array

if TYPE_CHECKING:
    import numpy as np

PORTION = 1024
"""The best, which are sorted first; and boxes that are compared with those that stay at one time, while some stay."""
BLOCK, FEW = 128, 512
"""Boxes that are compared with each other at one time; and where few pairs of them are of one class."""
PAIRS = 16 * 1024
"""Of boxes that are compared at one time: 64 KB, which a processor's caches hold; what some suppress need not meet the
rest.
"""
SPARSE = 0.1
"""The share of pairs of one class above which all are compared: to pick pairs out costs more than to compute them."""
SIGMA = 0.5
"""Of soft suppression's Gaussian (Bodla et al., 2017)."""
TERMS = 13
"""Of its series: the first that is left out is below 1e-19."""


def suppress(boxes: Array, scores: Array, classes: Array | None, iou: float, most: int) -> Array:
    """Return the indices of the boxes that stay, at most `most`, in descending order of score.

    `boxes` float32 [K, 4] as left, top, right, bottom; `scores` float32 [K]; `classes` [K] from 0, or None where boxes
    of different classes suppress each other, too. None is NaN.
    """
    if classes is not None:  # small numbers are compared faster
        classes = None if (classes == classes[:1]).all() else classes.astype(np.min_scalar_type(int(classes.max())))
    with np.errstate(over="ignore", invalid="ignore"):
        return _suppressed(_Boxes.of(boxes, classes), scores, _below(iou), most)


def _suppressed(every: _Boxes, scores: Array, limit: np.float32, most: int) -> Array:
    order, start, size = best(scores, PORTION), 0, BLOCK
    if len(scores) <= FEW:  # what photographs mostly have
        ranked = every.take(order)
        pairs = _alike(ranked, ranked)
        if pairs is not None or len(scores) <= BLOCK:
            return order.take(_greedy(_overlaps(ranked, ranked, limit, pairs)))[:most]
    kept = every.part(0, 0)
    while start < len(scores) and len(kept) < most:
        if start == len(order):  # the first did not suffice
            order = best(scores, 4 * len(order))
        portion, before = order[start : start + size], len(kept)
        start += len(portion)
        rest = _free(every.take(portion), kept, limit)
        while len(rest) and len(kept) < most:
            block = rest.part(0, BLOCK)
            fresh = block.take(_greedy(_overlaps(block, block, limit, _alike(block, block))))
            kept = every.take(np.concatenate([kept.indices, fresh.indices]))
            rest = _free(rest.part(BLOCK, len(rest)), fresh, limit)
        if size < PORTION or len(kept) == before:
            size *= 2
    return kept.indices[:most]


def best(scores: Array, most: int) -> Array:
    """Return the indices of the `most` highest scores in descending order, equal ones by index. None is NaN."""
    if most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        near = np.flatnonzero(scores >= least)
        return near.take(_sorted(scores.take(near)))[:most]
    return _sorted(scores)


def _sorted(scores: Array) -> Array:
    """Return all indices in descending order of score, equal ones by index.

    Score and index make one whole number: numpy sorts those with wide registers, twice as fast as a stable `argsort`.
    """
    bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (~rising.astype(np.int64) << 32) | np.arange(len(scores))
    keys.sort()
    result: Array = keys & 0xFFFFFFFF
    return result


def _greedy(overlaps: Array) -> Array:
    """Return which rows stay of boxes that stand best first, given which overlap."""
    packed = np.packbits(overlaps, axis=1, bitorder="little")
    width, rows = packed.shape[1], packed.tobytes()
    kept, gone = [], 0
    for place in range(len(overlaps)):
        if not gone >> place & 1:
            kept.append(place)
            gone |= int.from_bytes(rows[place * width : (place + 1) * width], "little")
    return np.asarray(kept, np.int64)


@dataclass(frozen=True)
class _Boxes:
    """Some boxes: their indices, and what they are compared by."""

    indices: Array
    rows: Array
    """[5, K]: the four sides and the area."""
    classes: Array | None

    @classmethod
    def of(cls, boxes: Array, classes: Array | None) -> _Boxes:
        rows = np.empty((5, len(boxes)), np.float32)
        rows[:4] = boxes.T
        np.multiply(rows[2] - rows[0], rows[3] - rows[1], out=rows[4])
        return cls(np.arange(len(boxes)), rows, classes)

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, places: Array) -> _Boxes:
        """Return those at `places`."""
        classes = None if self.classes is None else self.classes.take(places)
        return _Boxes(self.indices.take(places), self.rows.take(places, axis=1), classes)

    def part(self, start: int, end: int) -> _Boxes:
        """Return those from `start` to before `end`."""
        classes = None if self.classes is None else self.classes[start:end]
        return _Boxes(self.indices[start:end], self.rows[:, start:end], classes)


def _free(rest: _Boxes, kept: _Boxes, limit: np.float32) -> _Boxes:
    """Return those of `rest` that overlap none of `kept`."""
    start = 0
    while start < len(kept) and len(rest):
        some = kept.part(start, start + BLOCK)
        pairs = _alike(some, rest)
        if pairs is None:
            some = some.part(0, max(1, PAIRS // len(rest)))
            free = ~_compared(some, rest, limit).any(axis=0)
        else:
            free = np.ones(len(rest), bool)
            free[pairs[1][_overlap_of(some, rest, pairs, limit)]] = False
        start += len(some)
        rest = rest.take(np.flatnonzero(free))
    return rest


def _overlaps(some: _Boxes, others: _Boxes, limit: np.float32, pairs: tuple[Array, Array] | None) -> Array:
    """Return bool [some, others]: whether they are of a class and their intersection over union is above the limit;
    `pairs` as `_alike` has them.
    """
    if pairs is None:
        return _compared(some, others, limit)
    found = np.zeros((len(some), len(others)), bool)
    found[pairs] = _overlap_of(some, others, pairs, limit)
    return found


def _alike(some: _Boxes, others: _Boxes) -> tuple[Array, Array] | None:
    """Return the places in both of all pairs of one class; None where they are so many that all pairs are compared."""
    if some.classes is None or others.classes is None:
        return None
    order = others.classes.argsort(kind="stable")
    ordered = others.classes.take(order)
    first = ordered.searchsorted(some.classes)
    counts = ordered.searchsorted(some.classes, "right") - first
    ends = counts.cumsum()
    if not len(ends) or ends[-1] > len(some) * len(others) * SPARSE:
        return None
    ours = np.arange(len(some)).repeat(counts)
    return ours, order.take(np.arange(ends[-1]) + (first - ends + counts).take(ours))


def _overlap_of(some: _Boxes, others: _Boxes, pairs: tuple[Array, Array], limit: np.float32) -> Array:
    """Return of each pair whether its intersection over union is above the limit."""
    found: Array = _ious(some.rows.take(pairs[0], axis=1), others.rows.take(pairs[1], axis=1)) > limit
    return found


def _compared(some: _Boxes, others: _Boxes, limit: np.float32) -> Array:
    """Return what `_overlaps` does, by looking at all pairs, some rows at a time."""
    found = np.empty((len(some), len(others)), bool)
    rows = max(1, PAIRS // max(1, len(others)))
    for start in range(0, len(some), rows):
        shares = _ious(some.rows[:, start : start + rows, None], others.rows[:, None])
        np.greater(shares, limit, out=found[start : start + rows])
    if some.classes is not None and others.classes is not None:
        found &= some.classes[:, None] == others.classes
    return found


def _ious(some: Array, others: Array) -> Array:
    """Return float32 of rows [5, ...] as `_Boxes` has them, each operation rounded as torchvision's; NaN of two boxes
    without area. Where boxes do not meet it is 0 or less.
    """
    shared = np.minimum(some[2], others[2])
    shared -= np.maximum(some[0], others[0])
    np.maximum(shared, np.float32(0), out=shared)
    down = np.minimum(some[3], others[3])
    down -= np.maximum(some[1], others[1])
    shared *= down
    np.add(some[4], others[4], out=down)
    down -= shared
    shared /= down
    result: Array = shared
    return result


def _below(limit: float) -> np.float32:
    """Return the float32 that separates those above `limit` from the others, as comparing in float64 does."""
    rounded = np.float32(limit)
    result: np.float32 = np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > limit else rounded
    return result


def suppress_softly(boxes: Array, scores: Array, classes: Array | None, score: float, most: int) -> tuple[Array, Array]:
    """Return the indices of the boxes that stay, at most `most`, and their scores, the best first.

    Each box that stays lowers the scores of the others, by the square of the overlap in a Gaussian; those that fall to
    `score` or below go. Of more than `PORTION` boxes the best take part. Arguments as `suppress` has them.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        every, lowered = _Boxes.of(boxes, classes), scores.astype(np.float64)
        left = np.sort(best(scores, PORTION))
        kept: list[int] = []
        while len(left) and len(kept) < most:
            place = int(lowered[left].argmax())
            chosen = left[place : place + 1]
            kept.append(int(chosen[0]))
            left = np.delete(left, place)
            overlap = np.nan_to_num(_ious(every.rows[:, chosen], every.rows[:, left]).astype(np.float64))
            if classes is not None:
                overlap[classes[left] != classes[chosen]] = 0.0
            lowered[left] *= _gaussian(overlap.clip(0.0, 1.0))
            left = left[lowered[left] > score]
    return np.asarray(kept, np.int64), lowered[kept]


def _gaussian(overlap: Array) -> Array:
    """Return float64: exp(-overlap**2 / SIGMA) of numbers from 0 to 1.

    By a Taylor series of an eighth of the exponent: libraries' `exp` differ in the last bit between processors.
    """
    eighth = overlap * overlap / (-8 * SIGMA)
    total: Array = 1.0 + eighth / TERMS
    for term in range(TERMS - 1, 0, -1):
        total = 1.0 + eighth * total / term
    for _ in range(3):
        total = total * total
    return total
