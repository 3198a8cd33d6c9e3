"""Candidates to the boxes of a photograph: what scores enough, does not overlap a better one, and can be seen in it.

    prediction.boxes[0]         # Box(label="dog", index=16, score=0.96, box=(131.2, 219.8, 309.5, 541.0), ...)

Places are in pixels of the photograph as it is seen upright: (0, 0) is the top left corner of its top left pixel. What
no answer can hold (NaN, infinite, no area, outside of the photograph) is no candidate. Suppression is done in the
network's input, as torchvision does, then places go back through the `Frame` and are held at the photograph's edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dataclass import dataclass
from ..errors import ImageTooLarge, WrongOption, one_line, shown
from ..limits import MAX_CANDIDATES, MAX_MASKS_MEGAPIXELS
from ..manifest.answers import Boxes
from ..tensors.arrays import Array
from .kind import Asked, Kind, number
from .masks import Mask
from .nms import best, suppress, suppress_softly

if TYPE_CHECKING:
    from ..tensors.frame import Frame

Rectangle = tuple[float, float, float, float]
Keypoint = tuple[float, float, float]


@dataclass(frozen=True)
class Box:
    """One object: what it is, how sure the network is (0 to 1), and where it lies."""

    label: str
    """ "class 7" where there are no labels."""
    index: int
    """Of the class."""
    score: float
    box: Rectangle
    """Left, top, right and bottom in pixels of the photograph, within it."""
    mask: Mask | None = None
    keypoints: tuple[Keypoint, ...] | None = None
    """Across, down and a score each, in pixels of the photograph; they may lie outside of it."""


@dataclass(frozen=True)
class BoxSettings:
    """What counts as a box, for one step and one call."""

    score: float
    iou: float
    max_boxes: int
    agnostic: bool
    classes: frozenset[int] | None = None
    """Only these; None: all."""

    @classmethod
    def of(cls, step: Boxes, asked: Asked) -> BoxSettings:
        """Return the step's own settings, and what the call changes of them. Raises WrongOption."""
        options = asked.options
        return cls(
            step.score if options.score is None else options.score,
            step.iou if options.iou is None else options.iou,
            step.max_boxes if options.max_boxes is None else options.max_boxes,
            step.agnostic if options.agnostic is None else options.agnostic,
            _indices(options.classes, asked.labels.get(step.output)),
        )


def find_boxes(
    step: Boxes,
    outputs: Mapping[str, Array],
    row: int,
    settings: BoxSettings,
    labels: Sequence[str] | None,
    frame: Frame | None,
) -> tuple[Box, ...]:
    """Return the boxes of one image, the best first; without a `frame`, in pixels of the network's input."""
    boxes, scores, classes = (outputs[name][row] for name in (step.output, step.scores, step.classes))
    candidates = _candidates(boxes, scores, classes, settings, frame)
    boxes, scores, classes = (values.take(candidates, axis=0) for values in (boxes, scores, classes))
    groups = None if settings.agnostic else classes
    if step.nms == "soft":
        places, scores = suppress_softly(boxes, scores, groups, settings.score, settings.max_boxes)
    else:
        if step.nms == "hard":
            places = suppress(boxes, scores, groups, settings.iou, settings.max_boxes)
        else:
            places = best(scores, settings.max_boxes)
        scores = scores[places]
    kept = candidates[places]
    whole = _to_photograph(boxes[places].astype(np.float64), frame)
    clipped = whole if frame is None else np.clip(whole, 0.0, np.asarray(frame.original * 2, np.float64))
    seen: list[Rectangle] = [(left, top, right, bottom) for left, top, right, bottom in clipped.tolist()]
    indices: list[int] = classes[places].astype(np.int64).tolist()
    names = [_label(labels, index) for index in indices]
    masks = _masks(step, outputs, row, kept, whole, frame)
    points = _keypoints(step, outputs, row, kept, frame)
    return tuple(map(Box, names, indices, scores.tolist(), seen, masks, points))


def check_options(step: Boxes, asked: Asked) -> None:
    """Refuse what a call asks for and this step cannot give. Raises WrongOption."""
    BoxSettings.of(step, asked)


def _candidates(boxes: Array, scores: Array, classes: Array, settings: BoxSettings, frame: Frame | None) -> Array:
    """Return the indices, ascending, of what may become a box; the best ones where there are too many."""
    usable = (scores > np.float32(settings.score)) & (classes >= 0) & np.isfinite(scores)
    if settings.classes is not None:
        usable &= np.isin(classes, list(settings.classes))
    found: Array = np.flatnonzero(usable)
    if len(found) > MAX_CANDIDATES:
        found = np.sort(found[best(scores[found], MAX_CANDIDATES)])
    left, top, right, bottom = sides = np.ascontiguousarray(boxes.take(found, axis=0).T)
    fine = np.isfinite(sides).all(axis=0) & (left < right) & (top < bottom)
    if frame is not None:
        first, last = frame.to_input(0.0, 0.0), frame.to_input(*map(float, frame.original))
        fine &= (right > first[0]) & (bottom > first[1]) & (left < last[0]) & (top < last[1])
    result: Array = found[fine]
    return result


def _to_photograph(boxes: Array, frame: Frame | None) -> Array:
    if frame is None:
        return boxes
    result: Array = (boxes - np.asarray(frame.offset * 2)) / np.asarray(frame.scale * 2)
    return result


def _masks(
    step: Boxes, outputs: Mapping[str, Array], row: int, kept: Array, whole: Array, frame: Frame | None
) -> Sequence[Mask | None]:
    if step.masks is None or frame is None:
        return [None] * len(kept)
    masks = outputs[step.masks][row]
    return [
        Mask(masks[place].copy(), tuple(box), frame.original)
        for place, box in zip(kept.tolist(), whole.tolist(), strict=True)
    ]


def _keypoints(
    step: Boxes, outputs: Mapping[str, Array], row: int, kept: Array, frame: Frame | None
) -> Sequence[tuple[Keypoint, ...] | None]:
    if step.keypoints is None:
        return [None] * len(kept)
    points: list[list[Keypoint]] = outputs[step.keypoints][row][kept].tolist()
    return [
        tuple((*(frame.to_original(x, y) if frame is not None else (x, y)), score) for x, y, score in one)
        for one in points
    ]


def _label(labels: Sequence[str] | None, index: int) -> str:
    return labels[index] if labels is not None and index < len(labels) else f"class {index}"


def _indices(wanted: tuple[str, ...] | None, labels: Sequence[str] | None) -> frozenset[int] | None:
    """Return the indices of classes, given by label or by index. Raises WrongOption for one that there is not."""
    if wanted is None:
        return None
    found: set[int] = set()
    for name in wanted:
        if labels is not None and name in labels:
            found.update(index for index, label in enumerate(labels) if label == name)
        elif name.isascii() and name.isdecimal() and (labels is None or int(name) < len(labels)):
            found.add(int(name))
        else:
            known = "indices from 0" if labels is None else f"{_some(labels)}, or 0 to {len(labels) - 1}"
            raise WrongOption(f"classes has {shown(name)}, there are {known}")
    return frozenset(found)


def _some(labels: Sequence[str]) -> str:
    """Return the first labels, for a message."""
    return ", ".join(labels[:20]) + (f" and {len(labels) - 20} more" if len(labels) > 20 else "")


def _answers(step: Any, outputs: Mapping[str, Array], asked: Asked) -> list[tuple[Box, ...]]:
    settings, labels = BoxSettings.of(step, asked), asked.labels.get(step.output)
    return [
        find_boxes(step, outputs, row, settings, labels, asked.frames[row] if asked.frames else None)
        for row in range(len(outputs[step.output]))
    ]


def _json(boxes: tuple[Box, ...]) -> list[dict[str, Any]]:
    megapixels = sum(one.mask.covered for one in boxes if one.mask is not None) / 1e6
    if megapixels > MAX_MASKS_MEGAPIXELS:
        raise ImageTooLarge(
            f"the masks of {len(boxes)} boxes cover {megapixels:.0f} MP, limit {MAX_MASKS_MEGAPIXELS:.0f} MP: "
            "ask for fewer boxes (max_boxes, score), or give a smaller image"
        )
    return [
        {
            "label": one.label,
            "index": one.index,
            "score": number(one.score),
            "box": [number(side) for side in one.box],
            **({} if one.mask is None else {"mask": one.mask.rle()}),
            **({} if one.keypoints is None else {"keypoints": [[number(v) for v in point] for point in one.keypoints]}),
        }
        for one in boxes
    ]


def _lines(name: str, boxes: tuple[Box, ...]) -> list[str]:
    return [
        f"{place}. {one_line(one.label)} ({name} {one.index}): {100 * one.score:.2f} % at "
        f"{one.box[0]:.0f},{one.box[1]:.0f} to {one.box[2]:.0f},{one.box[3]:.0f}"
        for place, one in enumerate(boxes, start=1)
    ] or [f"{name}: none"]


BOXES = Kind("boxes", _answers, _json, _lines, always=False, check=check_options)
