"""Write conformance/boxes: candidates, and the boxes that every runtime makes of them; frames; tiles.

    PYTHONPATH=tests python tests/support/box_vectors.py conformance/boxes

The answers are what this runtime gives; `tests/unit/runtime/postprocess` holds it to definitions of its own.
"""

from __future__ import annotations

import itertools
import math
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ovenbird_runtime.artifact.plan_file import json_text
from ovenbird_runtime.errors import OvenbirdError
from ovenbird_runtime.manifest.answers import Boxes
from ovenbird_runtime.manifest.schema import encode
from ovenbird_runtime.manifest.steps import CentreCrop, Pad, Pipeline, Resize, Zoom, letterbox
from ovenbird_runtime.options import PredictOptions
from ovenbird_runtime.postprocess.boxes import BOXES, Box
from ovenbird_runtime.postprocess.kind import Asked
from ovenbird_runtime.postprocess.tiles import tile_areas
from ovenbird_runtime.preprocess.interpreted import prepare
from ovenbird_runtime.tensors.frame import Frame
from support import planted_boxes
from support.planted_boxes import LABELS

Value = dict[str, Any]
FLOATS = ("boxes", "scores", "masks", "keypoints")
HOSTILE = (float("nan"), float("inf"), -float("inf"), 1e30, -1e30, 0.0, 0.5, 1e-45)
PLANTED = np.vstack([planted_boxes.PLANTED, np.float32([(-5, 30, 30, 80, 0.6, 7)])])
"""One more leaves the photograph; there is no such label."""
FRAME = Frame.of((200, 100)).resized((64, 32)).centred((64, 48))
"""Of a photograph of 200x100 in the middle of a canvas of 64x48."""


def rows(planted: Any, **more: Any) -> dict[str, Any]:
    """Return the outputs of one image: corners, score, class a row."""
    found = {"boxes": planted[:, :4].astype(np.float32), "scores": planted[:, 4].astype(np.float32)}
    return {**found, "classes": planted[:, 5].astype(np.int32), **more}


def random_rows(seed: int, count: int, spread: float, size: float, ties: int = 1024) -> dict[str, Any]:
    """Return boxes of up to `size` pixels over `spread`, in quarters, of three classes; scores have `ties` steps."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, spread, (count, 2))
    sides = np.round(np.concatenate([corners, corners + rng.uniform(1, size, (count, 2))], axis=1) * 4) / 4
    scores = rng.integers(0, ties, count) / ties
    return rows(np.column_stack([sides, scores, rng.integers(0, 3, count)]))


def hostile_rows() -> dict[str, Any]:
    """Return all boxes of hostile sides, and every fortieth of what is no box, with hostile scores."""
    sides = np.array(list(itertools.product(HOSTILE, repeat=4)))
    fine = np.isfinite(sides).all(1) & (sides[:, :2] < sides[:, 2:]).all(1)
    boxes = sides[fine | (np.arange(len(sides)) % 40 == 0)]
    with np.errstate(over="ignore"):
        found = rows(np.column_stack([boxes, np.resize((*HOSTILE, 0.9, 0.8), len(boxes)), np.zeros(len(boxes))]))
    found["classes"] = np.resize(np.array([0, 1, -1, 2**31 - 1, -(2**31), 0, 1], np.int32), len(boxes))
    return found


def pasted() -> dict[str, Any]:
    """Return two boxes with masks of 4x4 and two keypoints each."""
    mask = np.arange(16, dtype=np.float32).reshape(4, 4) / 16
    points = np.array([[[8, 12, 0.5], [40, 36, 1.5]], [[44, 14, -2], [90, -7, 0]]], np.float32)
    return rows(PLANTED[[0, 3]], masks=np.stack([mask, mask.T]), keypoints=points)


def cases() -> Iterator[tuple[str, Value]]:
    """Yield each case's name, and the case."""
    plain = rows(PLANTED)
    yield "as-the-step-says", case("", Boxes(), plain)
    yield "pixels-of-the-input", case("Of a tensor that comes from no photograph", Boxes(), plain, frame=None)
    yield "without-labels", case("", Boxes(), plain, labels=None)
    for name, options in {
        "score": {"score": 0.6},
        "score-zero": {"score": 0.0},
        "score-one": {"score": 1.0},
        "agnostic": {"agnostic": True},
        "iou-one": {"iou": 1.0},
        "max-boxes": {"max_boxes": 2},
        "classes-by-label": {"classes": ["cat"]},
        "classes-by-index": {"classes": ["2", "dog"]},
        "unknown-class": {"classes": ["horse"]},
        "score-out-of-range": {"score": 1.5},
        "no-boxes-asked-for": {"max_boxes": 0},
    }.items():
        yield f"asked-{name}", case("", Boxes(), plain, options=options)
    equal = np.array([[10 * i, 0, 10 * i + 5, 5, 0.5, 0] for i in range(50)], np.float64)
    yield (
        "equal-scores",
        case(
            "Equal scores stand by their index", Boxes(max_boxes=7), rows(equal), frame=Frame.of((600, 9)), labels=None
        ),
    )
    crowded = random_rows(1, 300, 60, 60, ties=32)
    frame = Frame.of((640, 480)).resized((120, 90)).cropped(0, -15, (120, 120))
    for kind in ("hard", "soft", "none"):
        step = Boxes(nms=kind, score=0.3)  # type: ignore[arg-type]
        yield f"crowded-{kind}", case("300 boxes, many of equal scores", step, crowded, frame=frame)
    yield "apart", case("200 boxes", Boxes(iou=0.1), random_rows(2, 200, 500, 40), frame=Frame.of((500, 500)))
    edge = np.array([(0, 0, 3, 1, 0.9, 0), (1, 0, 4, 1, 0.8, 0), (0, 0, 1, 1, 0.7, 0)], np.float64)
    yield "iou-of-a-half", case("The overlap of 2/4 is not above 0.5", Boxes(iou=0.5), rows(edge), frame=None)
    yield (
        "iou-of-a-third",
        case("1/3 in float32 is above the float64 0.3333333333333333", Boxes(iou=1 / 3), rows(edge), frame=None),
    )
    hostile = Boxes(score=0.0, max_boxes=1000)
    for name, options in {"hostile": {}, "hostile-iou-one": {"iou": 1.0}}.items():
        what = "NaN, infinite, huge and tiny numbers"
        yield name, case(what, hostile, hostile_rows(), frame=Frame.of((40, 30)), options=options)
    cut = Frame.of((100, 80)).resized((50, 40)).cropped(10, 5, (30, 30))
    yield "crop", case("A crop: boxes may leave it, not the photograph", Boxes(), rows(PLANTED), frame=cut)
    step = Boxes(masks="masks", keypoints="keypoints")
    yield "masks-and-keypoints", case("", step, pasted())
    none = {"boxes": np.empty((0, 4)), "scores": np.empty(0), "classes": np.empty(0)}
    yield "no-candidates", case("", Boxes(), none)


def case(
    what: str,
    step: Boxes,
    outputs: dict[str, Any],
    *,
    frame: Frame | None = FRAME,
    labels: Sequence[str] | None = LABELS,
    options: Mapping[str, Any] = {},
) -> Value:
    """Return a case with its answer, or the kind of its error."""
    found: Value = {
        "what": what,
        "step": encode(step),
        "options": dict(options),
        "labels": None if labels is None else list(labels),
        "frame": None if frame is None else frame_value(frame),
        "outputs": {name: written(array.tolist()) for name, array in outputs.items()},
    }
    return found | outcome(step, outputs, options, labels, frame)


def outcome(
    step: Boxes, outputs: dict[str, Any], options: Mapping[str, Any], labels: Sequence[str] | None, frame: Frame | None
) -> Value:
    """Return what this runtime answers, or the kind of its error."""
    asked = {} if labels is None else {step.output: labels}
    try:
        answer = answered(step, outputs, Asked(PredictOptions(**options), asked, [frame] if frame else []))
    except OvenbirdError as error:
        return {"error": type(error).__name__, "answer": None}
    return {"error": None, "answer": answer}


def answered(step: Boxes, outputs: dict[str, Any], asked: Asked) -> list[Value]:
    """Return the boxes of one image."""
    batch = {
        name: np.asarray(array, np.float32 if name in FLOATS else np.int32)[None] for name, array in outputs.items()
    }
    [boxes] = BOXES.answers(step, batch, asked)
    return [box_value(box) for box in boxes]


def box_value(box: Box) -> Value:
    """Return a box as the vectors write it."""
    found: Value = {"label": box.label, "index": box.index, "score": box.score, "box": list(box.box)}
    if box.mask is not None:
        found["mask"] = box.mask.rle()
    if box.keypoints is not None:
        found["keypoints"] = [list(point) for point in box.keypoints]
    return found


def frame_value(frame: Frame) -> Value:
    """Return a frame as the vectors write it."""
    return {name: list(getattr(frame, name)) for name in ("original", "size", "scale", "offset")}


def written(value: Any) -> Any:
    """Return nested lists with words for what JSON has no number for."""
    if isinstance(value, list):
        return [written(item) for item in value]
    return value if isinstance(value, int) or math.isfinite(value) else str(value)


def read(value: Any) -> Any:
    """Return what `written` was given."""
    return [read(item) for item in value] if isinstance(value, list) else float(value)


PIPELINES: dict[str, Pipeline] = {
    "stretch": (Resize(exact=(48, 64), interpolation="opencv-linear"),),
    "letterbox": letterbox((48, 64)),
    "letterbox-top-left": letterbox((64, 48), place="top-left", value=None),
    "letterbox-within": letterbox((64, 64), within=(40, 60), enlarge=False),
    "letterbox-down": letterbox((61, 67), rounding="down"),
    "shorter-and-crop": (Resize(shorter=40), CentreCrop(size=(32, 32))),
    "zoom-crop-pad": (Zoom(factor=1.5), CentreCrop(size=(30, 30)), Pad(size=(41, 44))),
}
SIZES = ((64, 48), (200, 100), (33, 77), (1, 1), (1, 40), (301, 7))
"""Width, then height."""


def frames() -> list[Value]:
    """Return where each pipeline's input lies in pictures of several sizes."""
    return [
        {"steps": encode(pipeline), **frame_value(prepare(pipeline, Image.new("RGB", size))[1])}
        for pipeline in PIPELINES.values()
        for size in SIZES
    ]


def tiles() -> list[Value]:
    """Return where tiles lie: `size` is width and height of the photograph, `side` height and width of tiles."""
    asked = [((4000, 3000), (640, 640), 0.2), ((641, 640), (640, 640), 0.2), ((100, 80), (640, 640), 0.2)]
    asked += [((1000, 500), (300, 400), 0.0), ((1000, 500), (300, 400), 0.9), ((10, 2000), (64, 64), 0.5)]
    return [
        {"size": list(size), "side": list(side), "overlap": share, "areas": [*map(list, tile_areas(size, side, share))]}
        for size, side, share in asked
    ]


def write(folder: Path) -> None:
    """Write all vectors anew."""
    shutil.rmtree(folder / "cases", ignore_errors=True)
    (folder / "cases").mkdir(parents=True)
    for name, one in cases():
        (folder / "cases" / f"{name}.json").write_text(json_text(one) + "\n")
    (folder / "frames.json").write_text(json_text(frames()) + "\n")
    (folder / "tiles.json").write_text(json_text(tiles()) + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
