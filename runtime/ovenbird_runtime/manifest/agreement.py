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
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal

from ..dataclass import dataclass
from ..limits import AGREEMENT_MISMATCHES, AGREEMENT_OFFSET, AGREEMENT_PEAK_RATIO, AGREEMENT_RMS
from ..tensors.arrays import Array
from .rows import AnswerRows, numbers_of, parts_of
from .scales import scales_of
from .schema import Range

Precision = Literal["f32", "f16", "bf16", "int8"]
Share = Annotated[float, Range(0, 1e30)]

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


def _compare_numbers(given: AnswerRows, right: AnswerRows, limits: Limits, least: float) -> Difference:
    import numpy as np

    # no square leaves float64's range
    unit = max(float(np.abs(numbers_of(row, part=part)[0]).max()) for row in right for part in parts_of(row)) or 1.0
    scales = scales_of(right, unit, limits.offset, least / unit, NOTHING / limits.peak)
    largest = peak = squares = count = 0.0
    for one, two in zip(given, right, strict=True):
        loud = scales.loudness(two, unit)
        for part in parts_of(two):
            (gap, finite), (numbers, _) = numbers_of(one, unit, part), numbers_of(two, unit, part)
            gap -= numbers
            np.abs(gap, out=gap)
            largest = max(largest, float(gap.max()))
            gap /= scales.of(numbers, part, loud)
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
