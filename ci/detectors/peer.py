"""What users write around a peer's network: a photograph to a tensor by OpenCV, candidates to boxes by its suppression.

    tensor, back = tensor_of(jpeg, steps)               # steps of the artifact's own pipeline
    boxes = boxes_of(run({"image": tensor}), back, Settings(0.25, 0.45, 100))

OpenCV is the fastest that Python has for either: what peers bring along for it is numpy or torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from ovenbird_runtime.manifest.steps import Normalise, Pad, Resize
from ovenbird_runtime.tensors.arrays import Array

Boxes = list[dict[str, Any]]


@dataclass(frozen=True)
class Settings:
    """What counts as a box."""

    score: float
    iou: float
    most: int
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Back:
    """The way from the network's pixels to the photograph's."""

    offset: Array
    scale: Array
    size: Array


def tensor_of(jpeg: bytes, steps: Sequence[Any]) -> tuple[Array, Back]:
    """Decode, resize, pad and normalise as the steps say. Raises ValueError for a step that detectors do not have."""
    image = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    height, width = image.shape[:2]
    scale, offset, batch = np.ones(2), np.zeros(2), image
    canvas = None
    for step in steps:
        if isinstance(step, Resize) and (step.exact or step.fit):
            rows, columns = step.exact or step.fit or (0, 0)
            if step.fit:
                share = min(rows / height, columns / width)
                whole = round if step.rounding == "nearest" else int
                rows, columns = whole(height * share), whole(width * share)
            batch = cv2.resize(batch, (columns, rows), interpolation=cv2.INTER_LINEAR)
            scale = np.array([columns / width, rows / height])
        elif isinstance(step, Pad):
            down, across = (full - own for full, own in zip(step.size, batch.shape, strict=False))
            top, left = (0, 0) if step.place == "top-left" else (down // 2, across // 2)
            offset = np.array([left, top])
            if step.value is None:
                canvas = np.zeros((3, *step.size), np.float32)
                continue
            value = step.value if isinstance(step.value, tuple) else (step.value,) * 3
            around = (top, down - top, left, across - left)
            batch = cv2.copyMakeBorder(batch, *around, cv2.BORDER_CONSTANT, value=value)
        elif isinstance(step, Normalise):
            batch = _normalised(batch, step)
            if canvas is not None:
                left, top = offset.astype(int)
                canvas[:, top : top + batch.shape[1], left : left + batch.shape[2]] = batch
                batch = canvas
        else:
            raise ValueError(f"no peer has the step {step}")
    return np.ascontiguousarray(batch[None]), Back(np.tile(offset, 2), np.tile(scale, 2), np.tile([width, height], 2))


def _normalised(image: Array, step: Normalise) -> Array:
    """Return [3, H, W] by OpenCV's blob, whose mean is of pixels; a division for each channel where they differ."""
    own = 1 / 255 if step.scale is None else step.scale
    mean, std = (np.broadcast_to(np.asarray(values), 3) for values in (step.mean, step.std))
    if swap := step.order == "bgr":  # OpenCV counts channels as they are in the blob
        mean, std = mean[::-1], std[::-1]
    shift = tuple((mean / own).tolist())
    if (std == std[0]).all():
        blob: Array = cv2.dnn.blobFromImage(image, float(own / std[0]), mean=shift, swapRB=swap)[0]
        return blob
    blob = cv2.dnn.blobFromImage(image, own, mean=shift, swapRB=swap)[0]
    blob *= (1 / std).astype(np.float32)[:, None, None]
    return blob


def boxes_of(outputs: Mapping[str, Array], back: Back, settings: Settings) -> Boxes:
    """Return the boxes of one image, from the network's candidates."""
    scores = outputs["scores"][0]
    good = scores > settings.score
    return suppressed(outputs["boxes"][0][good], scores[good], outputs["classes"][0][good], back, settings)


def suppressed(corners: Array, scores: Array, classes: Array, back: Back, settings: Settings) -> Boxes:
    """Suppress by OpenCV's C++, class by class, and return what stays in pixels of the photograph."""
    if not len(scores):
        return []
    sides = corners.copy()
    sides[:, 2:] -= sides[:, :2]
    kept = cv2.dnn.NMSBoxesBatched(sides, scores, classes.astype(np.int32), settings.score, settings.iou)
    kept = np.asarray(kept, np.int64).ravel()[: settings.most]
    places = np.clip((corners[kept] - back.offset) / back.scale, 0, back.size)
    names = settings.labels
    return [
        {"label": names[kind] if kind < len(names) else f"class {kind}", "index": kind, "score": score, "box": place}
        for kind, score, place in zip(classes[kept].tolist(), scores[kept].tolist(), places.tolist(), strict=True)
    ]
