"""Answers of a detector paired with the right ones: each candidate with the one that is the same box.

    given = aligned(steps, given, right, LIMITS["f32"])
    compare_output(steps, "scores", given["scores"], right["scores"], LIMITS["f32"]).fault
    count, same = boxes_agreeing(steps, given, right)        # of those above the step's score

Candidates stand in the order of their scores. Where two are nearly equal, rounding decides which comes first, and at
the end of the list which of them is in it: neither says anything about the network. Nor is a place in that order a
channel of it: each candidate is a row, judged by what all candidates of all images differ by.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .agreement import Difference, Limits, compare, repeats
from .answers import AnswerStep, Boxes, Ctc
from .rows import AnswerRows

if TYPE_CHECKING:
    from ..tensors.arrays import Array, Arrays

SCORE = 10.0
"""Scores of a pair differ by at most this many times the limit `rms`: 0.001 in f32."""
SIDE = 100.0
"""Corners of a pair differ by at most this many times the limit `rms`, in the box's longer side: 0.01 in f32."""
LARGEST = 0.1
"""Neither is ever more."""
SURE = 1e-3
"""The share of these by which two at one place may differ to be a pair whatever else there is."""
BLOCK = 64
"""Candidates that are compared at one time with those of nearly their scores."""
TIES = 100
"""One in so many candidates of an image may be of another class, of nearly the same score."""
LEAST_SPREAD = 0.1
"""Scores and masks are probabilities: those that differ by less are judged as if they differed by so much, which is
what a trained detector's do. In f32 their errors then are 1e-5 in the mean square at most, a hundredth of what boxes
that agree may differ by; against the spread of random heads, which is next to nothing, rounding alone was a fault.
"""
SAME_PLACE = 0.25
"""Pixels; a keypoint's neighbours on its map are twice as far, at least."""
SAME_IOU = 0.99
SAME_SCORE = 1e-3


def aligned(steps: tuple[AnswerStep, ...], given: Arrays, right: Arrays, limits: Limits) -> Arrays:
    """Return what was given with the candidates of each step of boxes in the order of the right ones.

    What was left out for a score that is nearly the last one's is taken for right. Arrays of other shapes than the
    right ones come back as they are, and what has no pair in any order.
    """
    given = dict(given)
    for step in steps:
        if not isinstance(step, Boxes) or not set(step.read) <= given.keys() & right.keys():
            continue
        if any(given[name].shape != right[name].shape or right[name].ndim < 2 for name in step.read):
            continue
        for row in range(right[step.output].shape[0]):
            _align_row(step, given, right, row, limits)
        if step.keypoints is not None:
            given[step.keypoints] = _settled(given[step.keypoints], right[step.keypoints], limits)
    return given


def compare_output(
    steps: tuple[AnswerStep, ...], name: str, given: AnswerRows, right: AnswerRows, limits: Limits
) -> Difference:
    """Judge one output by `agreement.compare`, that of a detector candidate by candidate; probabilities of characters
    as what they are, of which most are nearly 0 at every place.
    """
    if any(isinstance(step, Ctc) and name in step.read for step in steps):
        return compare(given, right, limits, LEAST_SPREAD)
    step = next((step for step in steps if isinstance(step, Boxes) and name in step.read), None)
    if step is None or given.shape != right.shape or len(right.shape) < 2 or right.dtype.kind != "f":
        return compare(given, right, limits)
    one, two = (np.stack(list(rows)).reshape(-1, *(right.shape[2:] or (1,))) for rows in (given, right))
    found = compare(one, two, limits, LEAST_SPREAD if name in (step.scores, step.masks) else 0.0)
    if right.shape[0] == 1 or found.fault:
        return found
    blind = repeats(right)
    if not blind and repeats(given):
        return replace(found, fault=f"is the same for {right.shape[0]} different inputs, the reference is not")
    return replace(found, blind=blind)


def _align_row(step: Boxes, given: Arrays, right: Arrays, row: int, limits: Limits) -> None:
    one, two = ([arrays[name][row] for name in (step.output, step.scores, step.classes)] for arrays in (given, right))
    score = min(SCORE * limits.rms, LARGEST)
    pairs = np.full(len(two[1]), -1)
    sure = _differ(one, two, limits) <= SURE
    pairs[sure] = np.flatnonzero(sure)
    rest = np.flatnonzero(~sure)
    if not rest.size:
        return
    _pair_nearest(one, two, pairs, rest, limits)
    alone = np.flatnonzero(pairs < 0)
    pairs[alone] = np.setdiff1d(np.arange(len(pairs)), pairs)
    least = [float(side[1].min()) + score for side in (one, two)]
    ties = _tied(one, two, pairs, alone, limits)
    excused = ties + [place for place in alone if two[1][place] <= least[1] and one[1][pairs[place]] <= least[0]]
    for name in step.read:
        found = given[name].copy()
        found[row] = given[name][row][pairs]
        found[row][excused] = right[name][row][excused]
        given[name] = found


def _pair_nearest(one: list[Array], two: list[Array], pairs: Array, rest: Array, limits: Limits) -> None:
    """Pair the candidates `rest` that may be the same, the nearest first: neighbours in a grid may all be near enough,
    and each is nearest to itself. Fills `pairs`.
    """
    marks = [np.nan_to_num(side[1][rest].astype(np.float64)) for side in (one, two)]
    (given, low), (right, high) = ((rest[order], mark[order]) for mark in marks for order in (np.argsort(mark),))
    reach = min(SCORE * limits.rms, LARGEST)
    places, others, gaps = [], [], []
    for start in range(0, len(rest), BLOCK):
        block = right[start : start + BLOCK]
        first, last = high[start] - reach, high[start + len(block) - 1] + reach
        near = given[np.searchsorted(low, first) : np.searchsorted(low, last, "right")]
        off = _differ([array[near][None] for array in one], [array[block][:, None] for array in two], limits)
        place, other = np.nonzero(off <= 1.0)
        places.append(block[place])
        others.append(near[other])
        gaps.append(off[place, other])
    place, other, gap = map(np.concatenate, (places, others, gaps))
    free = np.zeros(len(pairs), bool)
    free[rest] = True
    for at in np.lexsort((np.abs(place - other), gap)):
        if pairs[place[at]] < 0 and free[other[at]]:
            pairs[place[at]] = other[at]
            free[other[at]] = False


def _tied(one: list[Array], two: list[Array], pairs: Array, alone: Array, limits: Limits) -> list[int]:
    """Return the candidates without a pair that are the same but for their class, where those are few: two classes had
    nearly one score. `pairs` is put in order for them.
    """
    found: list[int] = []
    for place in alone:
        free = np.array([at for at in alone if at not in found])
        there = [one[0][pairs[free]], one[1][pairs[free]], np.full(len(free), two[2][place])]
        off = _differ(there, [array[place] for array in two], limits)
        if off.min() <= 1.0:
            other = free[int(off.argmin())]
            pairs[place], pairs[other] = pairs[other], pairs[place]
            found.append(int(place))
    return found if len(found) <= max(1, len(two[1]) // TIES) else []


def _settled(given: Array, right: Array, limits: Limits) -> Array:
    """Return keypoints [N, K, P, 3] with the right places of those that are elsewhere on a map, but of the same value:
    the peak is flat, or one of two. As many as may be ties; others stay as they are.
    """
    with np.errstate(all="ignore"):
        gap = np.abs(given.astype(np.float64) - right)
        spread = float(np.nan_to_num(right[..., 2].astype(np.float64)).std())
        elsewhere = (gap[..., :2].max(-1) > SAME_PLACE) & (gap[..., 2] <= min(SCORE * limits.rms, LARGEST) * spread)
    if not 0 < elsewhere.sum() <= max(1, elsewhere.size // TIES):
        return given
    return np.where(elsewhere[..., None], right, given)


def _differ(one: list[Array], two: list[Array], limits: Limits) -> Array:
    """Return how far candidates are apart, 1 at most for those that may be the same."""
    with np.errstate(all="ignore"):
        sides = np.abs(two[0][..., 2:].astype(np.float64) - two[0][..., :2]).max(-1, initial=1.0)
        gap = np.abs(one[0].astype(np.float64) - two[0]).max(-1) / sides
        gap = np.where((one[0] == two[0]).all(-1), 0.0, gap)  # infinite ones, too
        off = np.maximum(
            gap / min(SIDE * limits.rms, LARGEST),
            np.abs(one[1].astype(np.float64) - two[1]) / min(SCORE * limits.rms, LARGEST),
        )
    return np.nan_to_num(np.where(one[2] == two[2], off, np.inf), nan=np.inf)


def boxes_agreeing(steps: tuple[AnswerStep, ...], given: Arrays, right: Arrays) -> tuple[int, int]:
    """Count the right candidates above their step's score, and those of them that `aligned` paired with the same box:
    its class, an intersection over union of 0.99, a score within 0.001.
    """
    count = same = 0
    for step in steps:
        if not isinstance(step, Boxes):
            continue
        one, two = ([arrays[name] for name in (step.output, step.scores, step.classes)] for arrays in (given, right))
        shown = two[1] > step.score
        common = np.minimum(one[0][..., 2:], two[0][..., 2:]) - np.maximum(one[0][..., :2], two[0][..., :2])
        shared = np.maximum(common, 0.0).prod(-1, dtype=np.float64)
        areas = [(array[..., 2:] - array[..., :2]).prod(-1, dtype=np.float64) for array in (one[0], two[0])]
        union = areas[0] + areas[1] - shared
        near = (shared >= SAME_IOU * union) & (np.abs(one[1] - two[1]) <= SAME_SCORE) & (one[2] == two[2])
        count += int(shown.sum())
        same += int((shown & near).sum())
    return count, same
