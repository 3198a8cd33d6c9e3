"""Softmax, the most probable classes, embeddings, JSON."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ovenbird_runtime.manifest.manifest import WeightsInfo
from ovenbird_runtime.postprocess.classes import top_classes
from ovenbird_runtime.postprocess.embedding import Embedding, summarise
from ovenbird_runtime.postprocess.prediction import Prediction


def confidences(row: list[float], count: int = 9) -> dict[int, float]:
    return {score.index: score.confidence for score in top_classes(np.float32([row]), None, count)[0]}


def test_confidences_are_the_softmax() -> None:
    expected = np.exp([1, 2, 3]) / np.exp([1, 2, 3]).sum()
    assert confidences([1, 2, 3]) == pytest.approx(dict(enumerate(expected)))
    assert confidences([0, 0, 0]) == pytest.approx({0: 1 / 3, 1: 1 / 3, 2: 1 / 3})
    assert confidences([1e4, -1e4, 0]) == pytest.approx({0: 1, 1: 0, 2: 0})
    assert confidences([-3e38, 0, 3e38]) == pytest.approx({2: 1, 1: 0, 0: 0})
    infinite = confidences([-np.inf, -np.inf, 1, -np.inf])
    assert list(infinite) == [2, 0, 1, 3]
    assert infinite[2] == 1


@pytest.mark.parametrize("count", [1, 2, 8, 9, 100, 1000])
def test_few_and_many_are_found_alike(count: int) -> None:
    rows = np.random.default_rng(count).integers(0, 300, (5, 500)).astype(np.float32)  # many are equal
    for row, found in zip(rows, top_classes(rows, None, count), strict=True):
        assert [score.index for score in found] == np.argsort(-row, kind="stable")[:count].tolist()


def test_the_best_classes_come_first() -> None:
    logits = np.log(np.float32([[0.1, 0.6, 0.3], [0.4, 0.4, 0.2]]))
    first, second = top_classes(logits, ("a", "b", "c"), 2)
    assert [(score.index, score.label) for score in first] == [(1, "b"), (2, "c")]
    assert first[0].confidence == pytest.approx(0.6, abs=1e-6)
    assert [score.index for score in second] == [0, 1]
    assert [score.label for score in top_classes(logits, None, 9)[0]] == ["class 1", "class 2", "class 0"]


def test_an_embedding_is_summarised() -> None:
    rows = np.random.default_rng(0).standard_normal((3, 2048)).astype(np.float32)
    for row, value in zip(rows, summarise(rows, vector=True), strict=True):
        assert value.mean == pytest.approx(float(row.astype(np.float64).mean()))
        assert value.variance == pytest.approx(float(row.astype(np.float64).var()))
        assert value.vector is not None
        np.testing.assert_array_equal(value.vector, row)
    assert summarise(rows, vector=False)[0].vector is None


def test_nan_is_null_in_json() -> None:
    weights = WeightsInfo("random", "", True, 1)
    nan = np.full((1, 3), np.nan, np.float32)
    prediction = Prediction(
        "m",
        weights,
        "imagenet",
        7,
        {
            "classes": {"logits": top_classes(nan, None, 2)[0]},
            "embeddings": {"e": summarise(nan, vector=True)[0]},
            "raw": {"boxes": np.float32([[1, np.inf]])},
        },
    )
    text = json.dumps(prediction.to_json(), allow_nan=False)
    found = json.loads(text)
    assert found["random_weights"] is True
    assert found["classes"]["logits"][0]["confidence"] is None
    assert found["embeddings"]["e"] == {"mean": None, "variance": None, "vector": [None] * 3}
    assert found["raw"]["boxes"] == [[1.0, None]]


def test_shortcuts_give_the_first_of_a_kind() -> None:
    empty = Prediction("m", WeightsInfo("file"), "imagenet", 0)
    assert empty.top == ()
    assert empty.embedding is None
    full = Prediction("m", WeightsInfo("file"), "imagenet", 0, {"embeddings": {"e": Embedding(1.0, 2.0)}})
    assert full.embedding == Embedding(1.0, 2.0)
