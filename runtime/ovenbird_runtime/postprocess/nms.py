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

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..tensors.arrays import Array

if TYPE_CHECKING:
    import numpy as np

PORTION = 1024
"""The best, which are sorted first; and boxes that are compared with those that stay at one time, while some stay."""
BLOCK = 128
"""Boxes that are compared with each other at one time."""
ROWS = 48
"""Boxes that stay with which all others are compared at one time; what the first suppress need not meet the rest."""
SPARSE = 0.1
"""The share of pairs of one class above which all are compared: to pick pairs out costs more than to compute them."""
SIGMA = 0.5
"""Of soft suppression's Gaussian (Bodla et al., 2017)."""


def suppress(boxes: Array, scores: Array, classes: Array | None, iou: float, most: int) -> Array:
    """Return the indices of the boxes that stay, at most `most`, in descending order of score.

    `boxes` float32 [K, 4] as left, top, right, bottom; `scores` float32 [K]; `classes` [K] from 0, or None where boxes
    of different classes suppress each other, too. None is NaN.
    """
    import numpy as np

    if classes is not None:  # small numbers are compared faster
        classes = None if (classes == classes[:1]).all() else classes.astype(np.min_scalar_type(int(classes.max())))
    every, limit = _Boxes.of(boxes, classes), _below(iou)
    order, start, size = best(scores, PORTION), 0, BLOCK
    if len(scores) <= BLOCK:  # what photographs mostly have
        every = every.take(order)
        return order.take(_greedy(_overlaps(every, every, limit)))[:most]
    kept = every.part(0, 0)
    while start < len(scores) and len(kept) < most:
        if start == len(order):  # the first did not suffice
            order = _sorted(scores)
        portion, before = order[start : start + size], len(kept)
        start += len(portion)
        rest = _free(every.take(portion), kept, limit)
        while len(rest) and len(kept) < most:
            block = rest.part(0, BLOCK)
            fresh = block.take(_greedy(_overlaps(block, block, limit)))
            kept = every.take(np.concatenate([kept.indices, fresh.indices]))
            rest = _free(rest.part(BLOCK, len(rest)), fresh, limit)
        if size < PORTION or len(kept) == before:
            size *= 2
    return kept.indices[:most]


def best(scores: Array, most: int) -> Array:
    """Return the indices of the `most` highest scores in descending order, equal ones by index. None is NaN."""
    import numpy as np

    if most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        near = np.flatnonzero(scores >= least)
        return near.take(_sorted(scores.take(near)))[:most]
    return _sorted(scores)


def _sorted(scores: Array) -> Array:
    """Return all indices in descending order of score, equal ones by index.

    Score and index make one whole number: numpy sorts those with wide registers, twice as fast as a stable `argsort`.
    """
    import numpy as np

    bits = (scores + np.float32(0)).view(np.int32)  # -0 becomes 0
    rising = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    keys = (~rising.astype(np.int64) << 32) | np.arange(len(scores))
    keys.sort()
    result: Array = keys & 0xFFFFFFFF
    return result


def _greedy(overlaps: Array) -> Array:
    """Return which rows stay of boxes that stand best first, given which overlap."""
    import numpy as np

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
    sides: Array
    """[4, K]"""
    areas: Array
    classes: Array | None

    @classmethod
    def of(cls, boxes: Array, classes: Array | None) -> _Boxes:
        import numpy as np

        sides = np.ascontiguousarray(boxes.T)
        with np.errstate(over="ignore"):
            areas = (sides[2] - sides[0]) * (sides[3] - sides[1])
        return cls(np.arange(len(boxes)), sides, areas, classes)

    def __len__(self) -> int:
        return len(self.indices)

    def take(self, places: Array) -> _Boxes:
        """Return those at `places`."""
        classes = None if self.classes is None else self.classes.take(places)
        return _Boxes(self.indices.take(places), self.sides.take(places, axis=1), self.areas.take(places), classes)

    def part(self, start: int, end: int) -> _Boxes:
        """Return those from `start` to before `end`."""
        classes = None if self.classes is None else self.classes[start:end]
        return _Boxes(self.indices[start:end], self.sides[:, start:end], self.areas[start:end], classes)


def _free(rest: _Boxes, kept: _Boxes, limit: np.float32) -> _Boxes:
    """Return those of `rest` that overlap none of `kept`."""
    import numpy as np

    rows = ROWS if kept.classes is None else BLOCK
    for start in range(0, len(kept), rows):
        if len(rest):
            met = _overlaps(kept.part(start, start + rows), rest, limit).any(axis=0)
            rest = rest.take(np.flatnonzero(~met))
    return rest


def _overlaps(some: _Boxes, others: _Boxes, limit: np.float32) -> Array:
    """Return bool [some, others]: whether they are of a class and their intersection over union is above the limit."""
    import numpy as np

    found: Array
    if some.classes is None or others.classes is None:
        found = _ious(some.sides[:, :, None], some.areas[:, None], others.sides[:, None], others.areas) > limit
        return found
    found = some.classes[:, None] == others.classes
    if np.count_nonzero(found) > found.size * SPARSE:
        found &= _ious(some.sides[:, :, None], some.areas[:, None], others.sides[:, None], others.areas) > limit
    else:
        pairs = np.flatnonzero(found)
        ours, theirs = np.divmod(pairs, len(others))
        shares = _ious(
            some.sides.take(ours, axis=1),
            some.areas.take(ours),
            others.sides.take(theirs, axis=1),
            others.areas.take(theirs),
        )
        found.reshape(-1)[pairs] = shares > limit
    return found


def _ious(sides: Array, areas: Array, other_sides: Array, other_areas: Array) -> Array:
    """Return float32, each operation rounded as torchvision's; NaN of two boxes without area.

    Where boxes do not meet it is 0 or less.
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):
        shared = np.minimum(sides[2], other_sides[2])
        shared -= np.maximum(sides[0], other_sides[0])
        np.maximum(shared, np.float32(0), out=shared)
        down = np.minimum(sides[3], other_sides[3])
        down -= np.maximum(sides[1], other_sides[1])
        shared *= down
        np.add(areas, other_areas, out=down)
        down -= shared
        shared /= down
    result: Array = shared
    return result


def _below(limit: float) -> np.float32:
    """Return the float32 that separates those above `limit` from the others, as comparing in float64 does."""
    import numpy as np

    rounded = np.float32(limit)
    result: np.float32 = np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > limit else rounded
    return result


def suppress_softly(boxes: Array, scores: Array, classes: Array | None, score: float, most: int) -> tuple[Array, Array]:
    """Return the indices of the boxes that stay, at most `most`, and their scores, the best first.

    Each box that stays lowers the scores of the others, by the square of the overlap in a Gaussian; those that fall to
    `score` or below go. Of more than `PORTION` boxes the best take part. Arguments as `suppress` has them.
    """
    import numpy as np

    every, lowered = _Boxes.of(boxes, classes), scores.astype(np.float64)
    left = np.sort(best(scores, PORTION))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        place = int(lowered[left].argmax())
        chosen = left[place : place + 1]
        kept.append(int(chosen[0]))
        left = np.delete(left, place)
        one, others = every.take(chosen), every.take(left)
        overlap = np.nan_to_num(_ious(one.sides, one.areas, others.sides, others.areas).astype(np.float64))
        overlap = np.maximum(overlap, 0.0)
        if classes is not None:
            overlap[classes[left] != classes[chosen]] = 0.0
        lowered[left] *= np.exp(overlap * overlap / -SIGMA)
        left = left[lowered[left] > score]
    return np.asarray(kept, np.int64), lowered[kept]
