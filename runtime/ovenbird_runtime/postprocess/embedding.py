"""Embeddings to their statistics.

summarise(embedding, vector=False)          # [Embedding(mean=0.41, variance=0.17, vector=None), ...]
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..dataclass import dataclass
from ..tensors.arrays import Array
from .kind import Asked, Kind, number, numbers


@dataclass(frozen=True)
class Embedding:
    """An embedding: mean and population variance over its elements (in float64), and float32 [D] if asked for."""

    mean: float
    variance: float
    vector: Array | None = None


def summarise(embedding: Array, vector: bool) -> list[Embedding]:
    """Return the statistics of each row of [N, D]; the rows themselves too where `vector` is true."""
    found = []
    with np.errstate(invalid="ignore"):
        for row in embedding.reshape(embedding.shape[0], -1):
            mean = row.sum(dtype=np.float64) / len(row)
            apart = row - mean  # float64, as the mean is
            found.append(Embedding(float(mean), float(apart @ apart / len(row)), row.copy() if vector else None))
    return found


def _answers(step: Any, outputs: Mapping[str, Array], asked: Asked) -> list[Embedding]:
    return summarise(outputs[step.output], asked.options.embedding)


def _json(value: Embedding) -> dict[str, Any]:
    result: dict[str, Any] = {"mean": number(value.mean), "variance": number(value.variance)}
    return result if value.vector is None else result | {"vector": numbers(value.vector.tolist())}


def _lines(name: str, value: Embedding) -> list[str]:
    return [f"{name}: mean {value.mean:.5f}, variance {value.variance:.5f}"]


EMBEDDINGS = Kind("embeddings", _answers, _json, _lines)
