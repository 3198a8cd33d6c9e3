"""Do two answers agree? The one rule of `compile`, `verify`, `selftest`, the server's warm-up and `bench`.

    found = compare(given, right, LIMITS["f32"])        # arrays of [rows, ...], one row an input
    found.fault                                         # "" where they agree, else what is wrong and by how much

An error is judged against how much the right answers differ from input to input, never against how large they are: a
constant 3000 among probabilities hides nothing, and answers of 1e-7 are held to 1e-7.

- Each channel (along the second axis, and along the last; the narrower counts) has its own scale: the standard
  deviation of its answers over the inputs. A channel that hardly moves is held to a share of its own size (`offset`),
  since that is what it was rounded to, and a silent one to a share of what its siblings move by (`QUIET`).
- A row that moves more than others, as loud inputs do, is held to as much more; a number to `offset` of itself, as the
  few large ones among thousands of shares near zero are rounded to that, too.
- The root mean square of all errors in these scales is at most `rms`, the largest of them at most `peak`.
- Answers that are the same for all inputs are refused where the right ones differ.
- Whole numbers and truth values are equal, but for the share `mismatches`, where rounding turned a near tie.
- NaN and infinity stand in the same places.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, Protocol

from ..limits import AGREEMENT_MISMATCHES, AGREEMENT_OFFSET, AGREEMENT_PEAK_RATIO, AGREEMENT_RMS
from ..tensors.arrays import Array
from .schema import Range

Precision = Literal["f32", "f16", "bf16", "int8"]
Share = Annotated[float, Range(0, 1e30)]

ROUNDING = 1e-6
"""Answers that move by less than this share of their size, or of their siblings' median, are taken not to move: eight
times float32's resolution. A number near zero is the rest of a sum of such as are not."""
QUIET = 0.1
"""A channel is held to no less than this share of what the median of the moving channels moves by."""
NOTHING = 1e-6
"""What may stand, in absolute terms, where all right answers are zero: the rest of a difference of equal numbers."""
STEPS = 20
"""Numbers of eight bits are levels: this many times as many as `mismatches` may be off by one."""


RULE = (
    "errors in units of each channel's standard deviation over the inputs, at least `offset` of its size: root mean "
    "square at most `rms`, largest at most `peak`; whole numbers equal but for the share `mismatches`"
)


@dataclass(frozen=True)
class Limits:
    """How far answers may be from the right ones, as shares of their own scales."""

    rms: Share
    peak: Share
    offset: Share
    mismatches: Share

    def loosened(self, factor: float) -> Limits:
        """Return these limits for errors that are `factor` times as large."""
        return Limits(self.rms * factor, self.peak * factor, self.offset, self.mismatches * factor)

    def for_tolerance(self, rms: float | None) -> Limits:
        """Return these limits, or what they are at another `rms`."""
        return self if rms is None else self.loosened(rms / self.rms)


def _limits(precision: Precision) -> Limits:
    rms = AGREEMENT_RMS[precision]
    return Limits(rms, rms * AGREEMENT_PEAK_RATIO, AGREEMENT_OFFSET[precision], AGREEMENT_MISMATCHES[precision])


LIMITS: dict[Precision, Limits] = {precision: _limits(precision) for precision in ("f32", "f16", "bf16", "int8")}
"""What code of each precision is held to unless other limits are given."""


@dataclass(frozen=True)
class Difference:
    """How far one output is from the right one.

    `rms` and `peak` are in its scales; `dependence`: what share of the right answers' size depends on the input, in the
    median channel; `mismatches`: the share of whole numbers that are not equal; `blind`: whether the right answers are
    the same for all inputs, so that they show less of the network.
    """

    max_abs: float = 0.0
    rms: float = 0.0
    peak: float = 0.0
    dependence: float = 0.0
    mismatches: float = 0.0
    blind: bool = False
    fault: str = ""


class AnswerRows(Protocol):
    """Answers to several inputs, one row each, read anew on every turn: an array, or what lies elsewhere."""

    @property
    def shape(self) -> tuple[int, ...]:
        """How many rows, and each one's shape."""

    @property
    def dtype(self) -> Any:
        """Of every row."""

    def __iter__(self) -> Iterator[Any]:
        """Yield the rows."""


def compare(given: AnswerRows, right: AnswerRows, limits: Limits, least: float = 0.0) -> Difference:
    """Judge the answers `given` by the `right` ones; both are [rows, ...], and rows come from different inputs.

    A channel that moves by less than `least`, in its own unit, is held to what one that moves by so much is.

    A few rows are in memory at a time: a segmenter's answers in float64 are gigabytes.
    """
    if given.shape != right.shape or given.dtype != right.dtype:
        return Difference(fault=f"is {given.dtype}{list(given.shape)}, expected {right.dtype}{list(right.shape)}")
    if 0 in right.shape:
        return Difference()
    rows = right.shape[0]
    if right.dtype.kind != "f":
        found = _compare_whole(given, right, limits)
    elif not all(map(_same_places, given, right)):
        return Difference(fault="is not finite where the reference is, or the other way round")
    else:
        found = _compare_numbers(given, right, limits, least)
    if rows > 1 and not found.blind and repeats(given) and not repeats(right):
        return replace(found, fault=f"is the same for {rows} different inputs, the reference is not")
    return found


def join_rows(answers: Sequence[Array], batched: bool) -> Array:
    """Return one array of [rows, ...] from several answers: their rows, or themselves where they have none."""
    import numpy as np

    return np.concatenate(answers) if batched else np.stack(answers)


def repeats(rows: AnswerRows) -> bool:
    """Return whether all rows are the same."""
    import numpy as np

    each = iter(rows)
    first = next(each)
    return all(np.array_equal(row, first, equal_nan=rows.dtype.kind == "f") for row in each)


def _same_places(one: Array, two: Array) -> bool:
    """Return whether NaN and infinities of two rows are the same."""
    import numpy as np

    finite = np.isfinite(two)
    if finite.all():
        return bool(np.isfinite(one).all())
    return np.array_equal(np.where(finite, 0, one), np.where(finite, 0, two), equal_nan=True)


def _numbers(row: Array, unit: float = 1.0) -> tuple[Array, Array]:
    """Return a row in float64, of one dimension at least, by `unit`; zero where it is not finite; and where it is."""
    import numpy as np

    numbers = np.array(row, np.float64, ndmin=1)
    finite = np.isfinite(numbers)
    if not finite.all():
        numbers[~finite] = 0.0
    numbers /= unit
    return numbers, finite


def _compare_numbers(given: AnswerRows, right: AnswerRows, limits: Limits, least: float) -> Difference:
    import numpy as np

    unit = max(float(np.abs(_numbers(row)[0]).max()) for row in right) or 1.0  # no square leaves float64's range
    scales = _scales(right, unit, limits, least / unit)
    largest = peak = squares = count = 0.0
    for one, two in zip(given, right, strict=True):
        (gap, finite), (numbers, _) = _numbers(one, unit), _numbers(two, unit)
        gap -= numbers
        np.abs(gap, out=gap)
        largest = max(largest, float(gap.max()))
        gap /= scales.of(numbers, finite)
        peak = max(peak, float(gap.max()))
        squares += float(np.vdot(gap, gap))
        count += float(finite.sum())
    found = Difference(
        max_abs=largest * unit,
        rms=math.sqrt(squares / max(count, 1.0)),
        peak=peak,
        dependence=scales.dependence,
        blind=scales.blind,
    )
    for what, value, limit in (("rms", found.rms, limits.rms), ("peak", found.peak, limits.peak)):
        if not value <= limit:
            fault = f"is off by {value:.3g} of its own spread ({what}), limit {limit:.3g}"
            return replace(found, fault=f"{fault}; largest error {found.max_abs:.3g}")
    return found


@dataclass(frozen=True)
class _Scales:
    """What numbers' errors are divided by, and what the answers owe to their inputs."""

    each: Array
    """Spreads to a row."""
    offset: float
    """The share of its own size that each number is held to at least."""
    centre: Array
    dependence: float
    blind: bool

    def of(self, numbers: Array, finite: Array) -> Array:
        """Return what a row's errors are divided by: more where the row moves more, or a number is large."""
        import numpy as np

        moved = _moved(numbers, finite, self.centre)
        moved /= self.each
        loud = math.sqrt(float(np.vdot(moved, moved)) / max(int(finite.sum()), 1))
        found: Array = np.abs(numbers)
        found *= self.offset
        return np.maximum(found, self.each * max(1.0, loud), out=found)


def _scales(right: AnswerRows, unit: float, limits: Limits, least: float) -> _Scales:
    import numpy as np

    several, dims = right.shape[0] > 1, right.shape[1:] or (1,)
    centre = _centre(right, unit)
    axes = sorted({0, len(dims) - 1})
    count, spread, size = ([np.zeros(dims[axis]) for axis in axes] for _ in range(3))
    for row in right:
        numbers, finite = _numbers(row, unit)
        moved = _moved(numbers, finite, centre)
        for at, axis in enumerate(axes):
            count[at] += finite.sum(axis=tuple(i for i in range(len(dims)) if i != axis))
            spread[at] += _squares(moved, axis)
            size[at] += _squares(numbers, axis)
    each: Array | None = None
    shares = []
    for at, axis in enumerate(axes):
        total = np.maximum(count[at], 1)
        own, whole = np.sqrt(spread[at] / total), np.sqrt(size[at] / total)
        own = own if several else np.minimum(own, whole)  # far from the median may be what is a constant
        share = np.where(whole > 0, own / np.where(whole > 0, whole, 1.0), 0.0)
        scale = np.maximum(own, limits.offset * whole)
        moving = own > ROUNDING * np.maximum(whole, _median(whole[whole > 0]) if whole.any() else 0.0)
        alike = moving if moving.any() else whole > 0
        if alike.any():  # what a channel's siblings are like, it was summed from as well
            typical = max(QUIET * _median(own[alike]), limits.offset * _median(whole[alike]))
            scale = np.maximum(scale, max(typical, ROUNDING * float(own[alike].max())))
        scale = scale.reshape([-1 if i == axis else 1 for i in range(len(dims))])
        each = scale if each is None else np.minimum(each, scale)
        shares.append(np.where(moving, share, 0.0))
    assert each is not None
    each = np.maximum(np.where(each > 0, each, NOTHING / limits.peak), least)
    blind = several and not any(share.any() for share in shares)
    return _Scales(each, limits.offset, centre, min(map(_median, shares)) if several else 0.0, blind)


def _centre(right: AnswerRows, unit: float) -> Array:
    """Return the mean of all rows in each place; of one row, its median."""
    import numpy as np

    if right.shape[0] == 1:
        numbers, finite = _numbers(next(iter(right)), unit)
        return np.asarray(np.median(numbers[finite]) if finite.any() else 0.0)
    total, count = np.zeros(right.shape[1:] or (1,)), np.zeros(right.shape[1:] or (1,), np.int32)
    for row in right:
        numbers, finite = _numbers(row, unit)
        total += numbers
        count += finite
    total /= np.maximum(count, 1)
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


def _compare_whole(given: AnswerRows, right: AnswerRows, limits: Limits) -> Difference:
    """Judge whole numbers and truth values; equality is theirs, as ids of 64 bits are no float64."""
    import numpy as np

    wrong, largest, size = 0, 0.0, math.prod(right.shape)
    for one, two in zip(given, right, strict=True):
        wrong += int(np.sum(one != two))
        largest = max(largest, float(np.abs(np.subtract(one, two, dtype=np.float64)).max()))
    levels = right.dtype.itemsize == 1 and right.dtype.kind in "iu" and largest <= 1
    allowed = limits.mismatches * (STEPS if levels else 1)
    blind = right.shape[0] > 1 and repeats(right)
    found = Difference(largest, mismatches=wrong / size, dependence=float(not blind), blind=blind)
    if wrong > allowed * size:
        fault = f"differs in {wrong} of {size} numbers, limit {min(allowed, 1.0):.3g} of them"
        return replace(found, fault=f"{fault}; largest difference {largest:.3g}")
    return found
