"""Masks of boxes, pasted into the photograph as torchvision does, and COCO's run-length encoding of them.

    box.mask.pixels()           # bool [height, width] of the photograph
    box.mask.rle()              # {"size": [height, width], "counts": "..."}, as pycocotools reads and writes it

A network gives probabilities on a small grid over the box. The grid gets a border of zeros, which the box grows by, is
resized bilinearly to the box's whole pixels, and cut at 0.5 (`paste_masks_in_image`, torchvision/models/detection/
roi_heads.py). It is done when it is asked for: a hundred masks of a large photograph take seconds.
"""

from __future__ import annotations

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array

THRESHOLD = 0.5


@dataclass(frozen=True)
class Mask:
    """Which pixels of the photograph are the object."""

    grid: Array
    """float32 [m, m]: probabilities within the box, as the network gives them."""
    box: tuple[float, ...]
    """Left, top, right and bottom in pixels of the photograph, where the network sees them; maybe outside of it."""
    size: tuple[int, int]
    """Width and height of the photograph."""

    @property
    def covered(self) -> int:
        """How many pixels of the photograph the box covers: what pasting costs."""
        side = self.grid.shape[0]
        x0, x1, _ = _ends(self.box[0], self.box[2], side, self.size[0])
        y0, y1, _ = _ends(self.box[1], self.box[3], side, self.size[1])
        return (x1 - x0) * (y1 - y0)

    def pixels(self) -> Array:
        """Return bool [height, width]."""
        result = np.zeros((self.size[1], self.size[0]), bool)
        left, top, inner = self.part()
        result[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
        return result

    def part(self) -> tuple[int, int, Array]:
        """Return left and top of what the box covers of the photograph, and the mask there."""
        side = self.grid.shape[0]
        grid = np.pad(np.nan_to_num(self.grid, nan=0.0, posinf=1.0, neginf=0.0), 1)
        x0, x1, across = _axis(self.box[0], self.box[2], side, self.size[0])
        y0, y1, down = _axis(self.box[1], self.box[3], side, self.size[1])
        (first, second, part), (upper, lower, share) = across, down
        rows = grid[upper] * (1 - share)[:, None] + grid[lower] * share[:, None]
        inner: Array = rows[:, first] * (1 - part) + rows[:, second] * part > THRESHOLD
        assert inner.shape == (y1 - y0, x1 - x0)
        return x0, y0, inner

    def rle(self) -> dict[str, object]:
        """Return COCO's compressed run lengths: the pixels column by column, first how many are not the object's."""
        width, height = self.size
        left, top, inner = self.part()
        padded = np.zeros((inner.shape[1], inner.shape[0] + 2), np.int8)  # a column a row, with nothing around it
        padded[:, 1:-1] = inner.T
        column, place = np.nonzero(np.diff(padded, axis=1))  # where runs begin and end, in turn
        ends = (column + left) * height + place + top
        joined = np.flatnonzero(ends[1:-1:2] == ends[2::2])  # a run to the last row goes on in the next column
        ends = np.delete(ends, np.concatenate([2 * joined + 1, 2 * joined + 2]))
        edges = [0, *ends.tolist(), width * height]
        if len(ends) and ends[-1] == width * height:
            edges.pop()
        return {"size": [height, width], "counts": encode_runs(np.diff(edges).tolist())}


def encode_runs(runs: list[int]) -> str:
    """Write run lengths as COCO does: from the third on less the one two before, 5 bits a character (`rleToString`)."""
    text = []
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != -1 if bits & 0x10 else value != 0
            text.append(chr((bits | 0x20 if more else bits) + 48))
    return "".join(text)


def _ends(start: float, end: float, side: int, limit: int) -> tuple[int, int, tuple[int, int]]:
    """Return which pixels of an axis of `limit` the grown box covers, and its own first and count of pixels."""
    middle, half = (start + end) * 0.5, (end - start) * 0.5 * (side + 2) / side
    far = 2.0**40  # beyond any photograph; whole numbers of that size are exact
    first, last = (int(min(max(edge, -far), far)) for edge in (middle - half, middle + half))
    low, high = min(max(first, 0), limit), max(min(last + 1, limit), 0)
    return low, max(high, low), (first, max(last - first + 1, 1))


def _axis(start: float, end: float, side: int, limit: int) -> tuple[int, int, tuple[Array, Array, Array]]:
    """Return which pixels of an axis of `limit` the grown box covers, and for each the two cells of the padded grid
    that it lies between and the second one's share.
    """
    low, high, (first, count) = _ends(start, end, side, limit)
    places = np.arange(low, high) - first
    centres = np.maximum((places + 0.5) * ((side + 2) / count) - 0.5, 0.0)
    before = np.minimum(centres.astype(np.int64), side + 1)
    share = (centres - before).astype(np.float32)
    return low, high, (before, np.minimum(before + 1, side + 1), share)
