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

from collections.abc import Iterator

from ..tensors.arrays import Array

PORTION = 1024
"""Boxes that are sorted, and compared with those that stay, at one time."""
BLOCK = 128
"""Boxes that are compared with each other at one time."""
SPARSE = 0.1
"""The share of pairs up to which all are computed."""
SIGMA = 0.5
"""Of soft suppression's Gaussian (Bodla et al., 2017)."""


def suppress(boxes: Array, scores: Array, classes: Array | None, iou: float, most: int) -> Array:
    """Return the indices of the boxes that stay, at most `most`, in descending order of score.

    `boxes` float32 [K, 4] as left, top, right, bottom; `scores` float32 [K]; `classes` [K], or None where boxes of
    different classes suppress each other, too. None is NaN.
    """
    import numpy as np

    compare = _Overlaps(boxes, classes, iou)
    kept = np.empty(0, np.int64)
    for portion in _best_first(scores):
        rest = compare.free(portion, kept)
        while len(rest) and len(kept) < most:
            block, rest = rest[:BLOCK], rest[BLOCK:]
            fresh = block[_greedy(compare.matrix(block, block))]
            kept = np.concatenate([kept, fresh])
            if len(kept) >= most:
                return kept[:most]
            rest = compare.free(rest, fresh)
    return kept


def best(scores: Array, most: int) -> Array:
    """Return the indices of the `most` highest scores in descending order, equal ones by index."""
    import numpy as np

    if most < len(scores):
        least = np.partition(scores, len(scores) - most)[len(scores) - most]
        near = np.flatnonzero(scores >= least)
        return near[np.argsort(-scores[near], kind="stable")][:most]
    return np.argsort(-scores, kind="stable")


def _best_first(scores: Array) -> Iterator[Array]:
    """Yield all indices in descending order of score, in portions; the first without sorting the others."""
    if len(scores) > PORTION:
        yield best(scores, PORTION)
    order = best(scores, len(scores))
    for start in range(PORTION if len(scores) > PORTION else 0, len(scores), PORTION):
        yield order[start : start + PORTION]


def _greedy(overlaps: Array) -> list[int]:
    """Return which rows stay of boxes that stand best first, given which overlap."""
    import numpy as np

    packed = np.packbits(overlaps, axis=1, bitorder="little")
    width, rows = packed.shape[1], packed.tobytes()
    kept, gone = [], 0
    for place in range(len(overlaps)):
        if not gone >> place & 1:
            kept.append(place)
            gone |= int.from_bytes(rows[place * width : (place + 1) * width], "little")
    return kept


class _Overlaps:
    """Compares boxes by index."""

    def __init__(self, boxes: Array, classes: Array | None, iou: float) -> None:
        import numpy as np

        self._left, self._top, self._right, self._bottom = np.ascontiguousarray(boxes.T)
        self._classes, self._iou = classes, np.float64(iou)
        with np.errstate(over="ignore"):
            self._areas = (self._right - self._left) * (self._bottom - self._top)

    def free(self, rest: Array, kept: Array) -> Array:
        """Return those of `rest` that overlap none of `kept`."""
        for start in range(0, len(kept), BLOCK):
            if len(rest):
                rest = rest[~self.matrix(kept[start : start + BLOCK], rest).any(axis=0)]
        return rest

    def matrix(self, some: Array, others: Array) -> Array:
        """Return bool [some, others]: whether their intersection over union is above the limit.

        It is computed of those that are of a class and meet; comparisons, which find them, cost a tenth of it.
        """
        import numpy as np

        ours = some[:, None]
        if self._classes is None:
            found = np.ones((len(some), len(others)), bool)
        else:
            found = self._classes[ours] == self._classes[others]
        if np.count_nonzero(found) > found.size * SPARSE:
            found &= self._left[ours] < self._right[others]
            found &= self._right[ours] > self._left[others]
            found &= self._top[ours] < self._bottom[others]
            found &= self._bottom[ours] > self._top[others]
        pairs = np.flatnonzero(found)
        above = self.ious(some[pairs // len(others)], others[pairs % len(others)]) > self._iou
        found.reshape(-1)[pairs] = above
        result: Array = found
        return result

    def ious(self, some: Array, others: Array) -> Array:
        """Return float32, one a pair, each operation rounded as torchvision's; NaN of two boxes without area."""
        import numpy as np

        zero = np.float32(0)
        with np.errstate(over="ignore", invalid="ignore"):
            across = np.minimum(self._right[some], self._right[others])
            across -= np.maximum(self._left[some], self._left[others])
            down = np.minimum(self._bottom[some], self._bottom[others])
            down -= np.maximum(self._top[some], self._top[others])
            shared = np.maximum(across, zero) * np.maximum(down, zero)
            result: Array = shared / (self._areas[some] + self._areas[others] - shared)
        return result


def suppress_softly(boxes: Array, scores: Array, classes: Array | None, score: float, most: int) -> tuple[Array, Array]:
    """Return the indices of the boxes that stay, at most `most`, and their scores, the best first.

    Each box that stays lowers the scores of the others, by the square of the overlap in a Gaussian; those that fall to
    `score` or below go. Of more than `PORTION` boxes the best take part. Arguments as `suppress` has them.
    """
    import numpy as np

    compare, lowered = _Overlaps(boxes, classes, 1.0), scores.astype(np.float64)
    left = np.sort(best(scores, PORTION))
    kept: list[int] = []
    while len(left) and len(kept) < most:
        place = int(lowered[left].argmax())
        chosen = left[place : place + 1]
        kept.append(int(chosen[0]))
        left = np.delete(left, place)
        overlap = np.nan_to_num(compare.ious(chosen, left).astype(np.float64))
        if classes is not None:
            overlap[classes[left] != classes[chosen]] = 0.0
        lowered[left] *= np.exp(overlap * overlap / -SIGMA)
        left = left[lowered[left] > score]
    return np.asarray(kept, np.int64), lowered[kept]
