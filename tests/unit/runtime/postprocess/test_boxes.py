"""From candidates to boxes of the photograph: settings, the way back, and numbers that mean nothing."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ovenbird_runtime.errors import PipelineError, WrongOption
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.manifest import Preprocess
from ovenbird_runtime.manifest.steps import letterbox
from ovenbird_runtime.model import Model
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.boxes import BOXES, Box
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.predicting.predict import choose_pipeline
from ovenbird_runtime.selftest import selftest
from ovenbird_runtime.tensors.frame import Frame
from ovenbird_runtime.text import prediction_lines
from support.tiny_artifact import detector_artifact, reprogram

WHITE = Image.new("RGB", (200, 100), (255, 255, 255))
DOG, CAT, CAT2, BIRD = (
    (25, 12.5, 125, 87.5),
    (25, 12.5, 125, 90.625),
    (137.5, 18.75, 187.5, 81.25),
    (6.25, 6.25, 18.75, 25),
)


def found(boxes: tuple[Box, ...]) -> list[tuple[str, float, tuple[float, ...]]]:
    return [(box.label, round(box.score, 3), box.box) for box in boxes]


def test_boxes_lie_in_the_photograph(detector: Model) -> None:
    expected = [("dog", 0.9, DOG), ("cat", 0.7, CAT), ("cat", 0.7, CAT2), ("bird", 0.3, BIRD)]
    assert found(detector.predict(WHITE)[0].boxes) == expected
    assert detector.predict(Image.new("RGB", (200, 100)))[0].boxes == ()


SETTINGS: list[tuple[dict[str, Any], list[tuple[str, float]]]] = [
    ({"score": 0.6}, [("dog", 0.9), ("cat", 0.7), ("cat", 0.7)]),
    ({"score": 0}, [("dog", 0.9), ("cat", 0.7), ("cat", 0.7), ("bird", 0.3), ("bird", 0.2)]),
    ({"score": 1}, []),
    ({"agnostic": True}, [("dog", 0.9), ("cat", 0.7), ("bird", 0.3)]),
    ({"agnostic": False, "iou": 1}, [("dog", 0.9), ("dog", 0.8), ("cat", 0.7), ("cat", 0.7), ("bird", 0.3)]),
    ({"max_boxes": 2}, [("dog", 0.9), ("cat", 0.7)]),
    ({"classes": "cat"}, [("cat", 0.7), ("cat", 0.7)]),
    ({"classes": 2}, [("bird", 0.3)]),
    ({"classes": ["bird", "0"]}, [("dog", 0.9), ("bird", 0.3)]),
]


@pytest.mark.parametrize(("given", "expected"), SETTINGS, ids=[str(given) for given, _ in SETTINGS])
def test_a_call_may_change_the_settings(
    detector: Model, given: dict[str, Any], expected: list[tuple[str, float]]
) -> None:
    boxes = detector.predict([WHITE, WHITE], **given)
    assert [[(label, score) for label, score, _ in found(one.boxes)] for one in boxes] == [expected] * 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"score": 1.5}, "score is 1.5, expected a number from 0 to 1"),
        ({"iou": "much"}, "iou is 'much', expected a number"),
        ({"max_boxes": 0}, "max_boxes is 0, expected a whole number from 1 to 1000"),
        ({"classes": "horse"}, "classes has 'horse', there are dog, cat, bird, or 0 to 2"),
        ({"classes": [7]}, "classes has '7'"),
        ({"classes": []}, r"classes is \[\], expected labels or indices"),
        ({"agnostic": "yes"}, "agnostic is 'yes', expected True or False"),
    ],
)
def test_other_settings_are_refused(detector: Model, given: dict[str, Any], words: str) -> None:
    with pytest.raises(WrongOption, match=words):
        detector.predict(WHITE, **given)


def test_an_image_size_names_one_that_there_is(detector: Model) -> None:
    assert detector.predict(WHITE, image_size="48x64")[0].preprocess == "letterbox"
    with pytest.raises(PipelineError, match="image_size is 64x64, letterbox gives 48x64"):
        detector.predict(WHITE, image_size=64)
    steps = {f"{name}-{side}x{side}": letterbox(side) for name in ("a", "b") for side in (32, 96)}
    sized = reprogram(detector.manifest, preprocess=Preprocess("b", steps | {"a": letterbox(64), "b": letterbox(64)}))
    assert choose_pipeline(sized, None, (96, 96))[0] == "b-96x96"
    assert choose_pipeline(sized, "a", (32, 32))[0] == "a-32x32"
    assert choose_pipeline(sized, "a-32x32", (32, 32))[0] == "a-32x32"
    assert choose_pipeline(sized, "a", (64, 64))[0] == "a"
    with pytest.raises(PipelineError, match="image_size is 50x50, a gives 32x32, 64x64, 96x96"):
        choose_pipeline(sized, "a", (50, 50))


def test_options_have_ultralytics_names_too(detector: Model) -> None:
    boxes = detector.predict(WHITE, conf=0.6, max_det=2, agnostic_nms=True, imgsz=(48, 64))[0].boxes
    assert [(label, score) for label, score, _ in found(boxes)] == [("dog", 0.9), ("cat", 0.7)]
    with pytest.raises(WrongOption, match="both score and conf are given"):
        detector.predict(WHITE, conf=0.6, score=0.6)
    with pytest.raises(TypeError, match="unexpected keyword argument 'confidence'; there are score, iou"):
        detector.predict(WHITE, confidence=0.6)


def test_a_model_without_boxes_refuses_their_settings(model: Model) -> None:
    with pytest.raises(WrongOption, match="score is for boxes, tiny answers with classification, embedding"):
        model.predict(WHITE, score=0.5)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_boxes_are_those_of_the_photograph_as_it_is_shown(detector: Model, orientation: int) -> None:
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112] = orientation
    lying = WHITE.rotate(90, expand=True) if orientation >= 5 else WHITE
    lying.save(file, "PNG", exif=exif)
    assert found(detector.predict(file.getvalue())[0].boxes)[0] == ("dog", 0.9, DOG)


def test_stretching_is_undone(detector: Model) -> None:
    boxes = detector.predict(WHITE, preprocess="stretch")[0].boxes
    assert boxes[0].box == (8 * 200 / 64, 12 * 100 / 48, 40 * 200 / 64, 36 * 100 / 48)


@pytest.mark.parametrize("size", [(1, 1), (1, 400), (400, 1), (64, 48), (3000, 10)])
def test_boxes_stay_within_any_photograph(detector: Model, size: tuple[int, int]) -> None:
    for box in detector.predict(Image.new("RGB", size, (255, 255, 255)), score=0)[0].boxes:
        left, top, right, bottom = box.box
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]


def test_lines_and_json_say_it(detector: Model) -> None:
    prediction = detector.predict(WHITE, max_boxes=1)[0]
    assert prediction_lines(prediction) == ["1. dog (boxes 0): 90.00 % at 25,12 to 125,88"]
    [box] = prediction.to_json()["boxes"]["boxes"]
    assert box["label"] == "dog"
    assert box["index"] == 0
    assert box["score"] == pytest.approx(0.9)
    assert box["box"] == list(DOG)
    assert box["keypoints"] == [[25.0, 12.5, 0.5], [125.0, 87.5, 0.5]]
    assert box["mask"]["size"] == [100, 200]
    assert prediction_lines(detector.predict(WHITE, score=1)[0]) == ["boxes: none"]


def test_selftest_holds(detector: Model) -> None:
    assert selftest(detector_artifact()).rows == 1


HOSTILE = [float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0, 0.5, 1e-45]


def hostile_answers(step: Boxes, frame: Frame, **asked: Any) -> list[tuple[Box, ...]]:
    """The answer to every pair of hostile sides, with every hostile score."""
    sides = np.array(list(itertools.product(HOSTILE, repeat=2)), np.float32)
    boxes = np.concatenate([sides, sides[::-1]], axis=1)
    boxes, scores = np.tile(boxes, (len(HOSTILE), 1)), np.repeat(np.array(HOSTILE, np.float32), len(boxes))
    classes = np.resize(np.array([0, 1, -1, 2**31 - 1, -(2**31)], np.int32), len(scores))
    outputs = {"boxes": boxes[None], "scores": scores[None], "classes": classes[None]}
    outputs["masks"] = np.resize(np.array(HOSTILE, np.float32), (1, len(scores), 2, 2))
    outputs["keypoints"] = np.resize(np.array(HOSTILE, np.float32), (1, len(scores), 1, 3))
    return list(BOXES.answers(step, outputs, Asked(PredictOptions(**asked), {}, (frame,))))


@pytest.mark.parametrize("nms", ["hard", "soft", "none"])
@pytest.mark.parametrize("agnostic", [True, False])
def test_hostile_numbers_give_the_same_answer_again(nms: Any, agnostic: bool) -> None:
    step = Boxes(masks="masks", keypoints="keypoints", nms=nms, agnostic=agnostic)
    frame = Frame.of((40, 30)).resized((20, 20))
    with np.errstate(all="raise", over="ignore"):
        answer, again = (hostile_answers(step, frame, score=0.0, max_boxes=1000) for _ in range(2))
    assert found(answer[0]) == found(again[0])
    assert answer[0]
    for box in answer[0]:
        left, top, right, bottom = box.box
        assert 0 <= left < right <= 40
        assert 0 <= top < bottom <= 30
        assert np.isfinite(box.score)
        assert box.index >= 0
    text = str(BOXES.to_json(answer[0]))
    assert "nan" not in text
    assert "inf" not in text


def test_equal_scores_stand_by_index() -> None:
    boxes = np.array([[10 * i, 0, 10 * i + 5, 5] for i in range(50)], np.float32)
    outputs = {
        "boxes": boxes[None],
        "scores": np.full((1, 50), 0.5, np.float32),
        "classes": np.zeros((1, 50), np.int32),
    }
    [answer] = BOXES.answers(Boxes(max_boxes=7), outputs, Asked(PredictOptions(), {}, (Frame.of((600, 9)),)))
    assert [box.box[0] for box in answer] == [10.0 * i for i in range(7)]


def test_no_candidates_are_no_boxes() -> None:
    outputs = {"boxes": np.empty((2, 0, 4), np.float32), "scores": np.empty((2, 0), np.float32)}
    outputs["classes"] = np.empty((2, 0), np.int32)
    assert list(BOXES.answers(Boxes(), outputs, Asked(PredictOptions()))) == [(), ()]


def test_inspect_shows_the_step() -> None:
    from ovenbird_runtime.artifact.inspection import inspect_artifact
    from ovenbird_runtime.text import inspection_lines

    lines = inspection_lines(inspect_artifact(Path(detector_artifact())))
    assert "answer   boxes of boxes, scores, classes, masks, keypoints: score 0.25, iou 0.45, at most 100" in lines
