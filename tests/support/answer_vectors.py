"""Writes the vectors of answers that every runtime must agree on (`conformance/README.md`).

PYTHONPATH=tests python tests/support/answer_vectors.py conformance
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.answers import AnswerStep
from ovenbird_runtime.manifest.schema import decode
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.prediction import check_asked, explain
from ovenbird_runtime.tensors.frame import Frame
from ovenbird_runtime.tensors.tensors import npz_bytes, read_tensors

Case = dict[str, Any]
Arrays = dict[str, np.ndarray[Any, Any]]
NAN, INF = float("nan"), float("inf")
LABELS = ["background", "ærø", "dog", "dog", 'a "quoted" one', "cat"]


def classification() -> Arrays:
    rng = np.random.default_rng(1)
    logits = rng.normal(0, 4, (7, 6)).astype(np.float32)
    logits[1] = [1, 3, 3, 0, 3, 1]  # equal ones
    logits[2] = [NAN, 1, 2, 0, 0, 5]
    logits[3] = [-INF, -INF, 2, -INF, 0, 1]
    logits[4] = 3e38, -3e38, 0, 0, 0, 0
    logits[5] = INF, 1, 2, 3, 4, 5
    logits[6] = 0.0, -0.0, 0.0, -0.0, 0, 0
    return {"logits": logits}


def embedding() -> Arrays:
    rng = np.random.default_rng(2)
    vectors = rng.normal(3, 2, (3, 2, 301)).astype(np.float32)
    vectors[1] *= 1e30
    vectors[2, 0, 0] = NAN
    return {"embedding": vectors, "half": rng.normal(0, 1, (3, 5)).astype(np.float16)}


def raw() -> Arrays:
    return {
        "whole": np.array([[[1, -2], [3, 4]], [[5, 6], [7, 1 << 40]]], np.int64),
        "large": np.array([[1 << 63], [0]], np.uint64),
        "truth": np.array([[True, False], [False, True]]),
        "one": np.array([0.1, 1e-7], np.float32),
        "numbers": np.array([[1e16, 1e-5, 123456.7], [NAN, INF, -0.0]], np.float64),
    }


def boxes(count: int, classes: int, seed: int) -> Arrays:
    """Return clusters of overlapping candidates of two images, and some that no answer can hold."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(-20, 260, (2, max(1, count // 6), 2)).repeat(6, 1)[:, :count] + rng.normal(
        0, 4, (2, count, 2)
    )
    halves = rng.uniform(5, 60, (2, count, 2))
    found = np.concatenate([centres - halves, centres + halves], 2).astype(np.float32)
    scores = rng.uniform(0, 1, (2, count)).astype(np.float32).round(2)  # with equal ones
    kinds = rng.integers(-1, classes, (2, count)).astype(np.int32)
    found[0, 0], found[0, 1, 2], found[0, 2, 2] = NAN, INF, found[0, 2, 0]
    scores[0, 3], scores[0, 4] = NAN, INF
    return {"boxes": found, "scores": scores, "classes": kinds}


def with_parts(arrays: Arrays, side: int, points: int) -> Arrays:
    rng = np.random.default_rng(side)
    count = arrays["scores"].shape[1]
    masks = rng.uniform(0, 1, (2, count, side, side)).astype(np.float32)
    masks[1, 0, 0, :3] = NAN, INF, -INF
    keypoints = rng.uniform(-10, 250, (2, count, points, 3)).astype(np.float32)
    return arrays | {"masks": masks, "keypoints": keypoints}


def line() -> Arrays:
    """Return probabilities along three lines: runs, blanks between equal ones, and one that is empty."""
    rng = np.random.default_rng(6)
    found = rng.uniform(0, 0.1, (3, 12, 6)).astype(np.float32)
    for row, classes in enumerate(
        ([1, 1, 0, 1, 2, 2, 5, 0, 0, 4, 4, 1], [0] * 12, [3, 3, 3, 2, 3, 0, 0, 0, 5, 5, 5, 5])
    ):
        found[row, range(12), classes] += np.float32(0.7)
    found[2, 4] = found[2, 4, 0]  # equal ones
    return {"line": found}


FRAME = {"original": [640, 427], "scale": [0.35, 0.35], "offset": [0.0, 37.3]}
LOGITS, BOXES = {"step": "classification", "output": "logits"}, {"step": "boxes"}
PARTS = {"step": "boxes", "masks": "masks", "keypoints": "keypoints", "score": 0.7, "max_boxes": 9}
CASES: list[Case] = [
    {"outputs": "classification", "postprocess": [LOGITS], "options": {"top": 6}},
    {"outputs": "classification", "postprocess": [LOGITS], "labels": LABELS, "options": {}},
    {"outputs": "embedding", "postprocess": [{"step": "embedding", "output": "embedding"}], "options": {}},
    {"outputs": "embedding", "postprocess": [{"step": "embedding", "output": "half"}], "options": {"embedding": True}},
    {"outputs": "raw", "postprocess": [{"step": "raw", "output": "one"}], "options": {}},
    {"outputs": "raw", "postprocess": [], "options": {"score": 0.5}},
    {"outputs": "line", "postprocess": [{"step": "ctc", "output": "line", "labels": "l"}], "labels": LABELS,
     "options": {}},
    {"outputs": "line", "postprocess": [{"step": "ctc", "output": "line", "labels": "l", "blank": 5}],
     "labels": LABELS, "options": {}},
    {"outputs": "line", "postprocess": [{"step": "ctc", "output": "line", "labels": "l"}], "labels": LABELS,
     "options": {"beams": 2}},
    {"outputs": "classification", "postprocess": [], "options": {"top": 0}},
    {"outputs": "boxes", "postprocess": [BOXES], "options": {}},
    {"outputs": "boxes", "postprocess": [BOXES], "labels": LABELS, "frame": FRAME, "options": {}},
    {"outputs": "boxes", "postprocess": [BOXES], "frame": FRAME, "options": {"score": 0.0, "max_boxes": 1000}},
    {"outputs": "boxes", "postprocess": [BOXES], "frame": FRAME, "options": {"iou": 0.1, "agnostic": True}},
    {"outputs": "boxes", "postprocess": [BOXES], "frame": FRAME, "options": {"iou": 0.0}},
    {"outputs": "boxes", "postprocess": [BOXES], "labels": LABELS,
     "options": {"classes": ["dog", "5"], "max_boxes": 4}},
    {"outputs": "boxes", "postprocess": [BOXES], "labels": LABELS, "options": {"classes": ["6"]}},
    {"outputs": "boxes", "postprocess": [{**BOXES, "nms": "soft", "score": 0.3}], "frame": FRAME, "options": {}},
    {"outputs": "boxes", "postprocess": [{**BOXES, "nms": "none", "max_boxes": 20}], "frame": FRAME, "options": {}},
    {"outputs": "many", "postprocess": [{**BOXES, "score": 0.01}], "frame": FRAME, "options": {"max_boxes": 50}},
    {"outputs": "parts", "postprocess": [PARTS], "frame": FRAME, "options": {}},
    {"outputs": "parts", "postprocess": [PARTS], "options": {}},
]  # fmt: skip


def answers(case: Case, outputs: Arrays) -> list[Case]:
    """Return what the Python runtime says of each row, in JSON. Raises WrongOption."""
    steps: tuple[AnswerStep, ...] = decode(tuple[AnswerStep, ...], case["postprocess"], "postprocess")
    options = PredictOptions(**{name: tuple(v) if name == "classes" else v for name, v in case["options"].items()})
    frame = None
    if "frame" in case:
        frame = Frame(size=(224, 224), **{name: tuple(value) for name, value in case["frame"].items()})
    rows = len(next(iter(outputs.values())))
    labels = {step.output: tuple(case["labels"]) for step in steps if "labels" in case}
    model = SimpleNamespace(name="a model", weights=SimpleNamespace(random=False))
    manifest: Any = SimpleNamespace(postprocess=steps, model=model, loop=None)  # as much of one as answers need
    check_asked(manifest, labels, options)
    found = explain(manifest, outputs, labels, "none", options, (frame,) * rows if frame else ())
    head = ("model", "random_weights", "preprocess", "seed")
    return [{name: value for name, value in one.to_json().items() if name not in head} for one in found]


def same_answers(found: Any, right: Any, where: str) -> None:
    """Compare JSON: all the same, but that numbers of exponentials and long sums differ in their last digits."""
    if isinstance(right, float):
        assert isinstance(found, (float, int)), where
        assert abs(found - right) <= 1e-12 * max(abs(right), 1e-3), (where, found, right)
    elif isinstance(right, dict):
        assert list(found) == list(right), where
        for name in right:
            same_answers(found[name], right[name], f"{where}.{name}")
    elif isinstance(right, list):
        assert len(found) == len(right), where
        for place, (one, two) in enumerate(zip(found, right, strict=True)):
            same_answers(one, two, f"{where}[{place}]")
    else:
        assert found == right, where


def write(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    outputs = {
        "classification": classification(), "embedding": embedding(), "raw": raw(), "line": line(),
        "boxes": boxes(90, 6, 3),
        "many": boxes(2400, 3, 4), "parts": with_parts(boxes(24, 6, 5), 14, 3),
    }  # fmt: skip
    for name, arrays in outputs.items():
        (folder / f"{name}.npz").write_bytes(npz_bytes(arrays))
    cases = []
    for case in CASES:
        given = case | {"outputs": f"{case['outputs']}.npz"}
        try:
            cases.append(given | {"answers": answers(case, read_tensors(folder / given["outputs"]))})
        except OvenbirdError as error:
            cases.append(given | {"error": type(error).__name__})
    (folder / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) / "answers")
