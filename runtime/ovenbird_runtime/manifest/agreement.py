"""Do two answers agree? The one rule of `compile`, `verify`, `selftest`, the server's warm-up and `bench`.

    found = compare(given, right, LIMITS["f32"])        # arrays of [rows, ...], one row an input
    found.fault                                         # "" where they agree, else what is wrong and by how much

An error is judged against how much the right answers differ from input to input, never against how large they are: a
constant 3000 among probabilities hides nothing, and answers of 1e-7 are held to 1e-7.

- Each channel (along the second axis, and along the last; the narrower counts) has its own scale: the standard
  deviation of its answers over the inputs. A channel that hardly moves is held to a share of its own size (`offset`),
  since that is what it was rounded to, and a silent one to a share of what its siblings move by (`QUIET`).
- A row that moves more than others, as loud inputs do, is held to as much more.
- The root mean square of all errors in these scales is at most `rms`, the largest of them at most `peak`.
- Answers that are the same for all inputs are refused where the right ones differ.
- Whole numbers and truth values are equal, but for the share `mismatches`, where rounding turned a near tie.
- NaN and infinity stand in the same places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from ..limits import AGREEMENT_MISMATCHES, AGREEMENT_OFFSET, AGREEMENT_PEAK_RATIO, AGREEMENT_RMS
from ..tensors.arrays import Array
from .schema import Range

Precision = Literal["f32", "f16", "bf16", "int8"]
Share = Annotated[float, Range(0, 1e30)]

ROUNDING = 1e-6
"""Answers that move by less than this share of their size are taken not to move: eight times float32's resolution."""
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


def compare(given: Array, right: Array, limits: Limits) -> Difference:
    """Judge the answers `given` by the `right` ones; both are [rows, ...], and rows come from different inputs."""
    import numpy as np

    if given.shape != right.shape or given.dtype != right.dtype:
        return Difference(fault=f"is {given.dtype}{list(given.shape)}, expected {right.dtype}{list(right.shape)}")
    if right.size == 0:
        return Difference()
    rows = right.shape[0]
    if right.dtype.kind != "f":
        found = _compare_whole(given, right, limits)
    else:
        one, two = (array.astype(np.float64).reshape(rows, *(right.shape[1:] or (1,))) for array in (given, right))
        finite = np.isfinite(two)
        same = np.array_equal(finite, np.isfinite(one))
        if not same or not np.array_equal(one[~finite], two[~finite], equal_nan=True):
            return Difference(fault="is not finite where the reference is, or the other way round")
        found = _compare_numbers(np.where(finite, one, 0.0), np.where(finite, two, 0.0), finite, limits)
    if rows > 1 and not found.blind and _repeats(given) and not _repeats(right):
        return replace(found, fault=f"is the same for {rows} different inputs, the reference is not")
    return found


def join_rows(answers: Sequence[Array], batched: bool) -> Array:
    """Return one array of [rows, ...] from several answers: their rows, or themselves where they have none."""
    import numpy as np

    return np.concatenate(answers) if batched else np.stack(answers)


def _repeats(array: Array) -> bool:
    import numpy as np

    return all(np.array_equal(row, array[0], equal_nan=array.dtype.kind == "f") for row in array[1:])


def _compare_numbers(given: Array, right: Array, finite: Array, limits: Limits) -> Difference:
    """Judge float64 arrays of two dimensions at least, zero where the right answers are not finite."""
    import numpy as np

    unit = float(np.abs(right).max()) or 1.0  # so that no square leaves float64's range
    gap = np.abs(given / unit - right / unit)
    scales = _scales(right / unit, finite, limits)
    error = gap / scales.each
    found = Difference(
        max_abs=float(gap.max()) * unit,
        rms=float(_rms(error, finite, tuple(range(error.ndim))).item()),
        peak=float(error.max()),
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
    """What each number's error is divided by (an array that spreads to theirs), and what the answers owe to inputs."""

    each: Array
    dependence: float
    blind: bool


def _scales(right: Array, finite: Array, limits: Limits) -> _Scales:
    import numpy as np

    several = right.shape[0] > 1
    if several:
        centre = right.sum(axis=0, keepdims=True) / np.maximum(finite.sum(axis=0, keepdims=True), 1)
    else:  # of one input, what its numbers differ by stands in for what they would have moved by
        centre = np.median(right[finite]) if finite.any() else 0.0
    moved = np.where(finite, right - centre, 0.0)
    each: Array | None = None
    shares = []
    for axis in sorted({1, right.ndim - 1}):
        others = tuple(i for i in range(right.ndim) if i != axis)
        spread, size = _rms(moved, finite, others), _rms(right, finite, others)
        spread = spread if several else np.minimum(spread, size)  # far from the median may be what is a constant
        share = np.where(size > 0, spread / np.where(size > 0, size, 1.0), 0.0)
        scale = np.maximum(spread, limits.offset * size)
        moving = share > ROUNDING
        if moving.any():  # what a channel's siblings are like, it was summed from as well
            typical = max(QUIET * _median(spread[moving]), limits.offset * _median(size[moving]))
            scale = np.maximum(scale, max(typical, ROUNDING * float(spread[moving].max())))
        each = scale if each is None else np.minimum(each, scale)
        shares.append(np.where(moving, share, 0.0))
    assert each is not None
    each = np.where(each > 0, each, NOTHING / limits.peak)
    loud = _rms(moved / each, finite, tuple(range(1, right.ndim)))
    blind = several and not any(share.any() for share in shares)
    return _Scales(each * np.maximum(1.0, loud), min(map(_median, shares)) if several else 0.0, blind)


def _median(values: Array) -> float:
    """Return the lower median, which is one of the values."""
    import numpy as np

    return float(np.quantile(values, 0.5, method="lower"))


def _rms(values: Array, finite: Array, axes: tuple[int, ...]) -> Array:
    import numpy as np

    count = np.maximum(finite.sum(axis=axes, keepdims=True), 1)
    found: Array = np.sqrt(np.square(values).sum(axis=axes, keepdims=True) / count)
    return found


def _compare_whole(given: Array, right: Array, limits: Limits) -> Difference:
    """Judge whole numbers and truth values; equality is theirs, as ids of 64 bits are no float64."""
    import numpy as np

    wrong = given != right
    largest = float(np.abs(given.astype(np.float64) - right.astype(np.float64)).max())
    levels = right.dtype.itemsize == 1 and right.dtype.kind in "iu" and largest <= 1
    allowed = limits.mismatches * (STEPS if levels else 1)
    blind = right.shape[0] > 1 and _repeats(right)
    found = Difference(largest, mismatches=float(wrong.mean()), dependence=float(not blind), blind=blind)
    if wrong.sum() > allowed * wrong.size:
        fault = f"differs in {wrong.sum()} of {wrong.size} numbers, limit {min(allowed, 1.0):.3g} of them"
        return replace(found, fault=f"{fault}; largest difference {largest:.3g}")
    return found
