"""Candidates of a detector are compared box by box, whatever the order that near ties stand in."""

import numpy as np

from ovenbird_runtime.manifest.agreement import LIMITS, compare
from ovenbird_runtime.manifest.answers import Boxes, Vector
from ovenbird_runtime.manifest.candidates import aligned, boxes_agreeing, compare_output

STEPS = (Boxes(), Vector(output="embedding"))
F32 = LIMITS["f32"]


def answers(seed: int = 0, count: int = 50) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    corners = random.random((2, count, 2), np.float32) * 200
    return {
        "boxes": np.concatenate([corners, corners + 10 + random.random((2, count, 2), np.float32) * 50], -1),
        "scores": -np.sort(-random.random((2, count), np.float32)),
        "classes": random.integers(0, 5, (2, count)).astype(np.int32),
        "embedding": random.random((2, 7), np.float32),
    }


def swapped(right: dict[str, np.ndarray], one: int, two: int) -> dict[str, np.ndarray]:
    order = np.arange(50)
    order[[one, two]] = two, one
    return {name: array[:, order] if name != "embedding" else array for name, array in right.items()}


def agree(given: dict[str, np.ndarray], right: dict[str, np.ndarray]) -> bool:
    laid = aligned(STEPS, given, right, F32)
    return not any(compare_output(STEPS, name, laid[name], right[name], F32).fault for name in right)


def test_near_ties_may_stand_in_any_order() -> None:
    right = answers()
    right["scores"][:, 8] = right["scores"][:, 7] - 1e-6
    given = swapped(right, 7, 8)
    assert compare(given["classes"], right["classes"], F32).fault
    assert agree(given, right)
    assert boxes_agreeing(STEPS, aligned(STEPS, given, right, F32), right)[0] == int((right["scores"] > 0.25).sum())


def test_neighbours_of_a_grid_are_laid_beside_themselves() -> None:
    """Each was taken for the one before it, which is a pixel further: near enough for a box of 300."""
    right = answers()
    right["boxes"][:, 10:40] = np.float32([0, 0, 300, 300]) + np.arange(30, dtype=np.float32)[:, None]
    right["scores"][:, 10:40] = right["scores"][:, 10:11]
    right["classes"][:, 10:40] = 3
    order = np.r_[:10, 11:40, 10, 40:50]
    given = {name: array[:, order] if name != "embedding" else array for name, array in right.items()}
    given["boxes"] += np.float32(1e-3)
    laid = aligned(STEPS, given, right, F32)
    assert np.abs(laid["boxes"] - right["boxes"]).max() < 2e-3
    assert boxes_agreeing(STEPS, laid, right) == (int((right["scores"] > 0.25).sum()),) * 2


def test_equal_boxes_of_equal_scores_are_told_apart_by_nothing() -> None:
    right = answers()
    for name in ("boxes", "scores", "classes"):
        right[name][:, 3:6] = right[name][:, 3:4]
    assert agree(swapped(right, 3, 5), right)


def test_who_is_last_of_those_nearly_equal_says_nothing() -> None:
    right, other = answers(), answers(1)
    given = {name: array.copy() for name, array in right.items()}
    for name in ("boxes", "classes"):
        given[name][:, -1] = other[name][:, -1]
    assert agree(given, right)
    right["scores"] += np.linspace(0.5, 0, 50, dtype=np.float32)
    given["scores"] = right["scores"].copy()
    for name in ("boxes", "classes"):
        given[name][:, 20] = other[name][:, 20]
    assert not agree(given, right)


def test_faults_stay_faults() -> None:
    right = answers()
    for name, fault in (("boxes", 5.0), ("scores", 0.05), ("classes", 1)):
        given = {key: array.copy() for key, array in right.items()}
        given[name][1, 4:20] = given[name][1, 4:20] + fault
        assert not agree(given, right), name
        count, same = boxes_agreeing(STEPS, aligned(STEPS, given, right, F32), right)
        assert same < count
    given = {**right, "scores": right["scores"][:, :10]}
    assert aligned(STEPS, given, right, F32)["scores"].shape == (2, 10)


def test_one_class_may_stand_for_another_of_nearly_its_score_and_no_more() -> None:
    right = answers()
    given = {key: array.copy() for key, array in right.items()}
    given["classes"][:, 7] += 1
    assert agree(given, right)
    given["classes"][:, 9] += 1
    assert not agree(given, right)


def test_infinite_boxes_are_laid_beside_their_like() -> None:
    right = answers()
    right["boxes"][0, 5] = [-np.inf, 0, np.inf, 3]
    right["scores"][:, 6] = right["scores"][:, 5]
    given = swapped(right, 5, 6)
    laid = aligned(STEPS, given, right, F32)
    np.testing.assert_array_equal(laid["boxes"], right["boxes"])


def test_scores_that_hardly_differ_are_judged_as_probabilities() -> None:
    right = answers()
    right["scores"] = (0.011 + right["scores"] * 1e-4).astype(np.float32)
    given = {**right, "scores": right["scores"] + np.float32(4e-6)}
    assert compare(given["scores"], right["scores"], F32).fault
    assert agree(given, right)
    given = {**right, "scores": right["scores"] + np.float32(4e-5)}
    assert not agree(given, right)


def test_an_image_s_answer_is_not_another_s() -> None:
    right = answers()
    same = {name: np.repeat(array[:1], 2, 0) for name, array in right.items()}
    assert not agree(same, right)
    assert compare_output(STEPS, "scores", same["scores"], same["scores"], F32).blind
    nearly = {**same, "scores": same["scores"] + np.array([[0], [1e-7]], np.float32)}
    assert "is the same for 2 different" in compare_output(STEPS, "scores", same["scores"], nearly["scores"], F32).fault


def test_keypoints_may_lie_elsewhere_on_a_flat_peak_and_few() -> None:
    steps = (Boxes(keypoints="keypoints"),)
    right = {name: array for name, array in answers().items() if name != "embedding"}
    right["keypoints"] = (np.random.default_rng(4).random((2, 50, 17, 3)) * 100).astype(np.float32)
    given = {name: array.copy() for name, array in right.items()}
    given["keypoints"][0, 3, 5, 0] += 1
    laid = aligned(steps, given, right, F32)
    np.testing.assert_array_equal(laid["keypoints"], right["keypoints"])
    given["keypoints"][0, :30, 5, 0] += 1
    laid = aligned(steps, given, right, F32)
    assert compare_output(steps, "keypoints", laid["keypoints"], right["keypoints"], F32).fault
