"""Outputs of known detectors are decoded as their authors' own scripts do it, written here in plain numpy."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ovenbird.errors import UsageError
from ovenbird.loading.load import load_network
from ovenbird.loading.options import NetworkOptions
from ovenbird.networks.detection.kinds import KINDS, chosen_kind
from ovenbird.networks.processing.options import ProcessingOptions
from ovenbird_runtime.manifest.program import TensorSpec
from support.real_data import test_data

__all__ = ["test_data"]

SIZE = (64, 96)
PLACES = 8 * 12 + 4 * 6 + 2 * 3


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def decoded(name: str | None, *outputs: np.ndarray) -> dict[str, np.ndarray]:
    shapes = [output.shape for output in outputs]
    kind = chosen_kind(name, shapes, SIZE)
    specs = [
        TensorSpec(name=f"output{place}", dtype=str(one.dtype), shape=one.shape) for place, one in enumerate(outputs)
    ]
    ordered = [torch.from_numpy(outputs[place].astype(np.float32)) for place in kind.order(specs)]
    return {key: value[0].numpy() for key, value in kind.make(SIZE)(*ordered).items()}


def check(found: dict[str, np.ndarray], boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray) -> None:
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_allclose(found["scores"], scores[order], rtol=1e-5)
    np.testing.assert_allclose(found["boxes"], boxes[order], rtol=1e-4, atol=1e-3)
    np.testing.assert_array_equal(found["classes"], classes[order])
    assert found["classes"].dtype == np.int32


def from_centres(rows: np.ndarray) -> np.ndarray:
    return np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], 1)


RANDOM = np.random.default_rng(5)


def test_yolov5_and_yolov8_are_told_by_their_shapes() -> None:
    rows = RANDOM.random((3 * PLACES, 5 + 7)) * 60
    scores = rows[:, 4] * rows[:, 5:].max(1)
    check(decoded(None, rows[None]), from_centres(rows), scores, rows[:, 5:].argmax(1))
    rows = RANDOM.random((PLACES, 4 + 7)) * 60
    check(decoded(None, rows.T[None]), from_centres(rows), rows[:, 4:].max(1), rows[:, 4:].argmax(1))
    check(decoded("yolov8", rows[None]), from_centres(rows), rows[:, 4:].max(1), rows[:, 4:].argmax(1))


def test_yolox_is_decoded_on_its_grid() -> None:
    rows = RANDOM.standard_normal((PLACES, 5 + 3))
    rows[:, 4:] = sigmoid(rows[:, 4:])
    grid = np.array([(x, y, s) for s in (8, 16, 32) for y in range(64 // s) for x in range(96 // s)])
    boxes = np.concatenate([(rows[:, :2] + grid[:, :2]) * grid[:, 2:], np.exp(rows[:, 2:4]) * grid[:, 2:]], 1)
    check(decoded("yolox", rows[None]), from_centres(boxes), rows[:, 4] * rows[:, 5:].max(1), rows[:, 5:].argmax(1))


def test_fastestdet_is_decoded_as_its_test_script_does() -> None:
    maps = RANDOM.standard_normal((5 + 3, 4, 6))
    maps[0], maps[5:] = sigmoid(maps[0]), sigmoid(maps[5:])
    boxes, scores, classes = [], [], []
    for y in range(4):
        for x in range(6):
            data = maps[:, y, x]
            centre = np.array([(x + np.tanh(data[1])) / 6 * 96, (y + np.tanh(data[2])) / 4 * 64])
            half = sigmoid(data[3:5]) * [96, 64] / 2
            boxes.append([*(centre - half), *(centre + half)])
            scores.append(data[0] ** 0.6 * data[5:].max() ** 0.4)
            classes.append(data[5:].argmax())
    check(decoded(None, maps[None]), np.array(boxes), np.array(scores), np.array(classes))


def test_pairs_of_outputs_are_taken_in_either_order() -> None:
    logits, boxes = RANDOM.standard_normal((20, 5)), RANDOM.random((20, 4))
    with pytest.raises(UsageError, match=r"--decode ssd .*--decode detr"):
        decoded(None, logits[None], boxes[None])
    check(
        decoded("ssd", boxes[None], logits[None]),
        boxes * [96, 64, 96, 64],
        logits[:, 1:].max(1),
        logits[:, 1:].argmax(1),
    )
    check(decoded("ssd-pixels", logits[None], boxes[None]), boxes, logits[:, 1:].max(1), logits[:, 1:].argmax(1))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    found = decoded("detr", logits[None], boxes[None])
    np.testing.assert_allclose(found["boxes"], from_centres(boxes) * [96, 64, 96, 64], rtol=1e-4)
    np.testing.assert_allclose(found["scores"], shares[:, :-1].max(1), rtol=1e-5)


def test_networks_that_suppress_themselves_are_left_so() -> None:
    rows = RANDOM.random((40, 6))
    found = decoded(None, rows[None])
    np.testing.assert_allclose(found["boxes"], rows[:, :4], rtol=1e-6)
    assert KINDS["yolov10"].settings == {"nms": "none"}
    classes = RANDOM.integers(0, 9, (1, 40))
    found = decoded(None, rows[None, :, :5], classes)
    np.testing.assert_allclose(found["scores"], rows[:, 4], rtol=1e-6)
    np.testing.assert_array_equal(found["classes"], classes[0])
    found = decoded(None, rows[None, :, :4], classes, rows[None, :, 4])  # as torchvision and TensorRT order them
    np.testing.assert_allclose(found["scores"], rows[:, 4], rtol=1e-6)
    np.testing.assert_array_equal(found["classes"], classes[0])


@pytest.mark.parametrize(
    ("name", "shapes", "message"),
    [
        (None, [("N", 1000)], r"outputs \[N, 1000\] are no known detector's"),
        (None, [("N", 84, 100)], "do not say how they are decoded: give --decode yolov8"),
        (None, [("N", PLACES, 85)], "give --decode yolov5 .*--decode yolov8 .*, or --decode yolox"),
        ("yolov5", [("N", 84, 126)], r"--decode yolov5 is for one output \[N, rows, 5 \+ classes\]"),
        (None, [("N", 18, 8, 12), ("N", 18, 4, 6)], "are no known detector's"),
        ("face-rfb", [("N", 20, 2), ("N", 20, 4)], "Linzaer"),
    ],
)
def test_what_cannot_be_told_is_refused(name: str | None, shapes: list[tuple[int | str, ...]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        chosen_kind(name, shapes, SIZE)


def priors(height: int, width: int) -> np.ndarray:
    """Write out what Ultra-Light-Fast-Generic-Face-Detector's box_utils generates."""
    found = []
    for stride, sides in ((8, (10, 16, 24)), (16, (32, 48)), (32, (64, 96)), (64, (128, 192, 256))):
        for y in range(-(-height // stride)):
            for x in range(-(-width // stride)):
                for side in sides:
                    found.append(
                        [(x + 0.5) / (width / stride), (y + 0.5) / (height / stride), side / width, side / height]
                    )
    return np.clip(np.array(found), 0, 1)


def test_the_real_face_detector_is_right(test_data: Path) -> None:
    path = test_data / "detectors" / "face-rfb-320.onnx"
    network = load_network(str(path), NetworkOptions(processing=ProcessingOptions(answer=("boxes",))))
    assert (network.default_pipeline, network.classes) == ("face-rfb", 1)
    image = network.examples(1)
    raw = network.source.source.reference(list(image.values()))
    scores, deltas = (array[0].astype(np.float64) for array in raw)
    prior = priors(240, 320)
    centres = deltas[:, :2] * 0.1 * prior[:, 2:] + prior[:, :2]
    boxes = from_centres(np.concatenate([centres, np.exp(deltas[:, 2:] * 0.2) * prior[:, 2:]], 1)) * [
        320,
        240,
        320,
        240,
    ]
    found = {name: array[0] for name, array in network.reference(image).items()}
    order = np.argsort(-scores[:, 1], kind="stable")[:1000]
    np.testing.assert_allclose(found["scores"], scores[order, 1], atol=1e-6)
    np.testing.assert_allclose(found["boxes"][:200], boxes[order][:200], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("photograph", "label"), [("dog", "dog"), ("eagle", "bird"), ("giraffe", "giraffe"), ("person", "dog")]
)
def test_the_real_fastestdet_finds_what_is_there(test_data: Path, photograph: str, label: str) -> None:
    cv2 = pytest.importorskip("cv2")
    folder = test_data / "detectors"
    options = ProcessingOptions(decode="fastestdet", labels=folder / "coco.names")
    network = load_network(str(folder / "fastestdet-coco.onnx"), NetworkOptions(processing=options))
    picture = cv2.imread(str(next((test_data / "photos" / "scenes").glob(f"{photograph}.*"))))
    pixels = cv2.resize(picture, (352, 352)).transpose(2, 0, 1)[None].astype(np.float32) / 255
    found = network.reference({network.inputs[0].name: pixels})
    shown = {
        network.labels[number]
        for number, score in zip(found["classes"][0], found["scores"][0], strict=True)
        if score > 0.65
    }
    assert label in shown
