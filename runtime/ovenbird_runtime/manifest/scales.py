"""What the errors of answers are divided by: how much the right answers move from input to input, channel by channel.

    scales = scales_of(right, unit, offset, least, nothing)
    scales.of(numbers, part, scales.loudness(row, unit))

`agreement.py` has the rule.
"""

from __future__ import annotations

import math

from ..dataclass import dataclass
from ..tensors.arrays import Array
from .rows import AnswerRows, numbers_of, parts_of

ROUNDING = 1e-6
"""Answers that move by less than this share of their size, or of their siblings' median, are taken not to move: eight
times float32's resolution. A number near zero is the rest of a sum of such as are not."""
QUIET = 0.1
"""A channel is held to no less than this share of what the median of the moving channels moves by."""


@dataclass(frozen=True)
class Scales:
    """What numbers' errors are divided by, and what the answers owe to their inputs."""

    each: Array
    """Spreads to a row."""
    offset: float
    """The share of its own size that each number is held to at least."""
    centre: Array
    dependence: float
    blind: bool

    def loudness(self, row: Array, unit: float) -> float:
        """Return how many times its scales a row moves."""
        import numpy as np

        squares, count = 0.0, 0
        for part in parts_of(row):
            numbers, finite = numbers_of(row, unit, part)
            moved = _moved(numbers, finite, self.centre[part])
            moved /= self.each[part]
            squares += float(np.vdot(moved, moved))
            count += int(finite.sum())
        return math.sqrt(squares / max(count, 1))

    def of(self, numbers: Array, part: slice, loud: float) -> Array:
        """Return what the errors of a part of a row are divided by: more where the row moves more, or a number is
        large.
        """
        import numpy as np

        found: Array = np.abs(numbers)
        found *= self.offset
        return np.maximum(found, self.each[part] * max(1.0, loud), out=found)


def scales_of(right: AnswerRows, unit: float, offset: float, least: float, nothing: float) -> Scales:
    """Return what errors of answers by `unit` are judged by: at least `least`; `nothing` where all of them are zero."""
    import numpy as np

    several, dims = right.shape[0] > 1, right.shape[1:] or (1,)
    centre = _centre(right, unit)
    axes = sorted({0, len(dims) - 1})
    count, spread, size = ([np.zeros(dims[axis]) for axis in axes] for _ in range(3))
    for row in right:
        for part in parts_of(row):
            numbers, finite = numbers_of(row, unit, part)
            moved = _moved(numbers, finite, centre[part])
            for at, axis in enumerate(axes):
                place = part if axis == 0 else slice(None)
                count[at][place] += finite.sum(axis=tuple(i for i in range(len(dims)) if i != axis))
                spread[at][place] += _squares(moved, axis)
                size[at][place] += _squares(numbers, axis)
    each: Array | None = None
    shares = []
    for at, axis in enumerate(axes):
        total = np.maximum(count[at], 1)
        own, whole = np.sqrt(spread[at] / total), np.sqrt(size[at] / total)
        own = own if several else np.minimum(own, whole)  # far from the median may be what is a constant
        share = np.where(whole > 0, own / np.where(whole > 0, whole, 1.0), 0.0)
        scale = np.maximum(own, offset * whole)
        moving = own > ROUNDING * np.maximum(whole, _median(whole[whole > 0]) if whole.any() else 0.0)
        alike = moving if moving.any() else whole > 0
        if alike.any():  # what a channel's siblings are like, it was summed from as well
            typical = max(QUIET * _median(own[alike]), offset * _median(whole[alike]))
            scale = np.maximum(scale, max(typical, ROUNDING * float(own[alike].max())))
        scale = scale.reshape([-1 if i == axis else 1 for i in range(len(dims))])
        each = scale if each is None else np.minimum(each, scale)
        shares.append(np.where(moving, share, 0.0))
    assert each is not None
    each = np.maximum(np.where(each > 0, each, nothing), least)
    blind = several and not any(share.any() for share in shares)
    return Scales(each, offset, centre, min(map(_median, shares)) if several else 0.0, blind)


def _centre(right: AnswerRows, unit: float) -> Array:
    """Return the mean of all rows in each place; of one row, its median."""
    import numpy as np

    dims = right.shape[1:] or (1,)
    if right.shape[0] == 1:
        numbers, finite = numbers_of(next(iter(right)), unit)
        return np.broadcast_to(np.median(numbers[finite]) if finite.any() else 0.0, dims)
    total, count = np.zeros(dims), np.zeros(dims, np.int32)
    for row in right:
        for part in parts_of(row):
            numbers, finite = numbers_of(row, unit, part)
            total[part] += numbers
            count[part] += finite
    for one in range(len(total)):
        total[one] /= np.maximum(count[one], 1)
    return total


def _moved(numbers: Array, finite: Array, centre: Array) -> Array:
    """Return how far each number is from its centre; nothing where it is not finite."""
    moved: Array = numbers - centre
    if not finite.all():
        moved[~finite] = 0.0
    return moved


def _squares(numbers: Array, axis: int) -> Array:
    """Return the sums of squares along all axes but one."""
    import numpy as np

    axes = list(range(numbers.ndim))
    found: Array = np.einsum(numbers, axes, numbers, axes, [axis])
    return found


def _median(values: Array) -> float:
    """Return the lower median, which is one of the values."""
    import numpy as np

    return float(np.quantile(values, 0.5, method="lower"))
