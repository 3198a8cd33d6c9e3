"""Suppression against a plain greedy one, box by box: the same boxes, whatever overlaps, ties and hostile numbers."""

from __future__ import annotations

import numpy as np
import pytest

from ovenbird_runtime.postprocess.nms import BLOCK, FEW, PORTION, best, suppress, suppress_softly

Array = np.ndarray
FLOAT = np.float32


def overlap(one: Array, other: Array) -> np.float32:
    """torchvision's arithmetic, an operation after the other."""
    width = max(FLOAT(0), min(one[2], other[2]) - max(one[0], other[0]))
    height = max(FLOAT(0), min(one[3], other[3]) - max(one[1], other[1]))
    shared = width * height
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return FLOAT(shared / (areas[0] + areas[1] - shared))


def greedy(boxes: Array, scores: Array, classes: Array | None, iou: float, most: int) -> list[int]:
    """The definition: the best of what is left stays, what overlaps it goes."""
    left = sorted(range(len(scores)), key=lambda place: (-scores[place], place))
    kept: list[int] = []
    while left and len(kept) < most:
        kept.append(left.pop(0))
        left = [
            place
            for place in left
            if (classes is not None and classes[place] != classes[kept[-1]])
            or not float(overlap(boxes[kept[-1]], boxes[place])) > iou
        ]
    return kept


def boxes_of(rng: np.random.Generator, count: int, spread: float, size: float) -> Array:
    corners = rng.uniform(0, spread, (count, 2))
    return np.concatenate([corners, corners + rng.uniform(1, size, (count, 2))], axis=1).astype(FLOAT)


@pytest.mark.parametrize("most", [20, 1000])
@pytest.mark.parametrize(("spread", "size"), [(500, 30), (60, 60), (3, 100)], ids=["apart", "crowded", "one place"])
@pytest.mark.parametrize("count", [0, 1, 2 * BLOCK + 3])
def test_it_is_greedy_suppression(count: int, spread: float, size: float, most: int) -> None:
    rng = np.random.default_rng(count)
    boxes = boxes_of(rng, count, spread, size)
    scores = rng.integers(0, 20, count).astype(FLOAT) / 20  # with many ties
    classes = rng.integers(0, 3, count).astype(np.int32)
    with np.errstate(all="ignore"):
        for groups in (None, classes):
            for iou in (0.0, 0.45, 1.0):
                found = suppress(boxes, scores, groups, iou, most).tolist()
                assert found == greedy(boxes, scores, groups, iou, most)


def test_more_than_a_portion_is_suppressed_alike() -> None:
    rng = np.random.default_rng(5)
    count = PORTION + 300
    boxes, scores = boxes_of(rng, count, 40, 40), np.full(count, 0.5, FLOAT)
    with np.errstate(all="ignore"):
        assert suppress(boxes, scores, None, 0.3, 1000).tolist() == greedy(boxes, scores, None, 0.3, 1000)


def test_an_overlap_of_exactly_the_limit_stays() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5]], FLOAT)  # 0.5
    scores = np.array([0.9, 0.8], FLOAT)
    assert suppress(boxes, scores, None, 0.5, 9).tolist() == [0, 1]
    assert suppress(boxes, scores, None, float(np.nextafter(0.5, 0)), 9).tolist() == [0]


def test_areas_beyond_float32_suppress_nothing_they_cannot_be_compared_with() -> None:
    huge = FLOAT(1e30)
    boxes = np.array([[-huge, -huge, huge, huge], [-huge, -huge, huge, huge], [0, 0, 1, 1]], FLOAT)
    scores = np.array([0.5, 0.5, 0.5], FLOAT)
    assert suppress(boxes, scores, None, 0.45, 9).tolist() == [0, 1, 2]


@pytest.mark.parametrize("most", [1, 7, 50, 99])
def test_the_best_are_those_of_a_stable_sort(most: int) -> None:
    scores = np.random.default_rng(0).integers(0, 5, 50).astype(FLOAT)
    assert best(scores, most).tolist() == np.argsort(-scores, kind="stable")[:most].tolist()


def test_scores_of_any_sign_are_sorted() -> None:
    scores = np.array([0.0, -2.5, 3e38, -0.0, 1e-45, -np.inf, np.inf, -1e-45, 0.0], FLOAT)
    assert best(scores, 9).tolist() == np.argsort(-scores, kind="stable").tolist()


@pytest.mark.parametrize(("count", "kinds"), [(FEW, 40), (4 * PORTION, 300)])
def test_a_class_among_many_is_suppressed_as_if_it_were_alone(count: int, kinds: int) -> None:
    rng = np.random.default_rng(8)
    boxes, scores = boxes_of(rng, count, 10, 90), rng.integers(1, 400, count).astype(FLOAT) / 400
    classes = rng.integers(0, kinds, count)
    found = suppress(boxes, scores, classes, 0.2, count).tolist()
    assert [scores[place] for place in found] == sorted(scores[found], reverse=True)
    for index in (0, 7, kinds - 1):
        own = np.flatnonzero(classes == index)
        alone = greedy(boxes[own], scores[own], None, 0.2, count)
        assert [place for place in found if classes[place] == index] == own[alone].tolist()
        assert 0 < len(alone) < len(own)


def test_soft_suppression_lowers_by_the_square_of_the_overlap() -> None:
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 5], [50, 50, 60, 60]], FLOAT)
    scores, classes = np.array([0.9, 0.8, 0.7, 0.6], FLOAT), np.array([0, 0, 1, 0])
    kept, lowered = suppress_softly(boxes, scores, classes, 0.0, 9)
    assert kept.tolist() == [0, 2, 3, 1]
    expected = [0.9, 0.7, 0.6, 0.8 * np.exp(-0.25 / 0.5)]
    np.testing.assert_allclose(lowered, expected, rtol=1e-6)
    assert suppress_softly(boxes, scores, None, 0.5, 9)[0].tolist() == [0, 3]
    assert suppress_softly(boxes, scores, None, 0.0, 1)[0].tolist() == [0]
