"""Logits to the most probable classes.

top_classes(logits, labels, count=2)        # [[ClassScore(281, "tabby", 0.61), ClassScore(282, "tiger cat", 0.2)], ...]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class ClassScore:
    """One class: its index (the column of the logits), its label ("class 7" where there are none), confidence
    0 to 1.
    """

    index: int
    label: str
    confidence: float


def softmax(logits: Array) -> Array:
    """Give the softmax over the last axis in float64, of the logits less their maximum so that nothing
    overflows.

    A row that holds NaN (only with `nan="allow"`) gives NaN.
    """
    import numpy as np

    wide = logits.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = np.exp(wide - wide.max(axis=-1, keepdims=True))
        result: Array = shifted / shifted.sum(axis=-1, keepdims=True)
    return result


def top_classes(logits: Array, labels: Sequence[str] | None, count: int) -> list[tuple[ClassScore, ...]]:
    """Give the `count` most probable classes of each row of [N, classes], most probable first; equal ones by
    index.
    """
    import numpy as np

    results = []
    for row in softmax(logits.reshape(logits.shape[0], -1)):
        best = np.argsort(-row, kind="stable")[:count]
        results.append(tuple(ClassScore(int(i), _label(labels, int(i)), float(row[i])) for i in best))
    return results


def _label(labels: Sequence[str] | None, index: int) -> str:
    return labels[index] if labels is not None and index < len(labels) else f"class {index}"
