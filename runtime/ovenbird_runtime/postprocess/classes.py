"""Logits to the most probable classes.

top_classes(logits, labels, count=2)        # [[ClassScore(281, "tabby", 0.61), ClassScore(282, "tiger cat", 0.2)], ...]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..dataclass import dataclass
from ..errors import one_line
from ..tensors.arrays import Array
from .kind import Asked, Kind, number

# So many are found faster one by one than by sorting all: after a network the caches are cold, and code
# that is not run costs nothing.
_FEW = 8


@dataclass(frozen=True)
class ClassScore:
    """One class: its index (the column of the logits), its label ("class 7" where there are none), confidence
    0 to 1.
    """

    index: int
    label: str
    confidence: float


def top_classes(logits: Array, labels: Sequence[str] | None, count: int) -> list[tuple[ClassScore, ...]]:
    """Return the `count` most probable classes of each row of [N, classes], most probable first; equal ones by index.

    Confidences are the softmax in float64, of the logits less their maximum so that nothing overflows. A row that
    holds NaN (only with `nan="allow"`) gives NaN.
    """
    results = []
    with np.errstate(invalid="ignore"):
        for row in logits.reshape(logits.shape[0], -1).astype(np.float64):
            places = _largest(row, count)
            shifted = np.exp(row - row[places[0]])
            total = shifted.sum()
            results.append(tuple(ClassScore(i, _label(labels, i), float(shifted[i] / total)) for i in places))
    return results


def _largest(row: Array, count: int) -> list[int]:
    """Return the places of the `count` largest values, equal ones by place, NaN last."""
    places: list[int] = []
    rest = row.copy()
    while len(places) < min(count, _FEW, len(row)):
        place = int(rest.argmax())
        if not rest[place] > -np.inf:
            break
        places.append(place)
        rest[place] = -np.inf
    if len(places) < min(count, len(row)):
        places = np.argsort(-row, kind="stable")[:count].tolist()
    return places


def _label(labels: Sequence[str] | None, index: int) -> str:
    return labels[index] if labels is not None and index < len(labels) else f"class {index}"


def _answers(step: Any, outputs: Mapping[str, Array], asked: Asked) -> list[tuple[ClassScore, ...]]:
    return top_classes(outputs[step.output], asked.labels.get(step.output), asked.options.top)


def _json(scores: tuple[ClassScore, ...]) -> list[dict[str, Any]]:
    return [{"index": one.index, "label": one.label, "confidence": number(one.confidence)} for one in scores]


def _lines(name: str, scores: tuple[ClassScore, ...]) -> list[str]:
    return [
        f"{place}. {one_line(score.label)} ({name} {score.index}): {100 * score.confidence:.2f} %"
        for place, score in enumerate(scores, start=1)
    ]


CLASSES = Kind("classes", _answers, _json, _lines)
