"""Embeddings to their statistics.

summarise(embedding, vector=False)          # [Embedding(mean=0.41, variance=0.17, vector=None), ...]
"""

from __future__ import annotations

from dataclasses import dataclass

from ..tensors.arrays import Array


@dataclass(frozen=True)
class Embedding:
    """An image's embedding: mean and population variance over its elements (in float64), and float32 [D] if
    asked for.
    """

    mean: float
    variance: float
    vector: Array | None = None


def summarise(embedding: Array, vector: bool) -> list[Embedding]:
    """Return the statistics of each row of [N, D]; the rows themselves too where `vector` is true."""
    import numpy as np

    found = []
    with np.errstate(invalid="ignore"):
        for row in embedding.reshape(embedding.shape[0], -1):
            mean = row.sum(dtype=np.float64) / len(row)
            apart = row - mean  # float64, as the mean is
            found.append(Embedding(float(mean), float(apart @ apart / len(row)), row.copy() if vector else None))
    return found
