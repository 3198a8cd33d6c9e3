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


# So many are found faster one by one than by sorting all. A server that has just run a network has cold caches, and code
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
    results = []
    for row in softmax(logits.reshape(logits.shape[0], -1)):
        results.append(tuple(ClassScore(i, _label(labels, i), float(row[i])) for i in _largest(row, count)))
    return results


def _largest(row: Array, count: int) -> list[int]:
    """Give the places of the `count` largest probabilities, equal ones by place."""
    import numpy as np

    if count > _FEW:
        ordered: list[int] = np.argsort(-row, kind="stable")[:count].tolist()
        return ordered
    rest, places = row.copy(), []
    for _ in range(min(count, len(row))):
        places.append(int(rest.argmax()))
        rest[places[-1]] = -1.0  # below any probability
    return places


def _label(labels: Sequence[str] | None, index: int) -> str:
    return labels[index] if labels is not None and index < len(labels) else f"class {index}"
