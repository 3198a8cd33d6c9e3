"""How far code of low precision answers as the network does: the same classes, and how strong its noise is.

    found = agreement_of(network, cases, answers, references)
    found.top1, found.sqnr_db["logits"]

Counted on photographs, where there are any, else on all cases. A signal's ratio to quantization noise is
10 log10(sum of squares / sum of squared errors), in dB.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ovenbird.networks.network import Network
from ovenbird.verify.cases import Case
from ovenbird.verify.stored import Answers
from ovenbird_runtime.manifest.manifest import Classification
from ovenbird_runtime.tensors.arrays import Array

TOP = 5
MOST_DB = 200.0
"""What stands for no noise at all."""


@dataclass(frozen=True)
class Agreement:
    """Shares of inputs with the same answer, and each output's ratio of signal to noise in dB."""

    photographs: int
    top1: float | None
    top5: float | None
    """How many of the network's five most probable classes are among the five, on average."""
    sqnr_db: dict[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"photographs": self.photographs, "top1": self.top1, "top5": self.top5, "sqnr_db": self.sqnr_db}


def agreement_of(network: Network, cases: Sequence[Case], answers: Answers, references: Answers) -> Agreement:
    """Compare the answers to the cases of one image size."""
    shown = [case.name for case in cases if case.photographs]
    names = shown or [case.name for case in cases]
    tops: dict[int, list[Array]] = {1: [], TOP: []}
    for output in score_outputs(network):
        for case in names:
            given, right = answers[case][output], references[case][output]
            for count, found in tops.items():
                found.append(_shared(given, right, min(count, right.shape[-1])))
    shares = {count: float(np.concatenate(found).mean()) if found else None for count, found in tops.items()}
    photographs = sum(len(next(iter(references[case].values()))) for case in shown)
    noise = {spec.name: _sqnr(spec.name, names, answers, references) for spec in network.outputs}
    return Agreement(photographs, shares[1], shares[TOP], {name: db for name, db in noise.items() if db is not None})


def score_outputs(network: Network) -> list[str]:
    """Return the outputs that hold a score for each class: those that are classified, else rows of numbers."""
    named = [post.output for post in network.postprocess if isinstance(post, Classification)]
    rows = [spec.name for spec in network.outputs if len(spec.shape) == 2 and spec.dtype == "float32" and spec.batched]
    return named or ([] if network.postprocess else rows)


def _shared(given: Array, right: Array, count: int) -> Array:
    """Return, for each row, what share of its `count` greatest numbers stands in the same places."""
    places = [np.argsort(-scores, axis=-1, kind="stable")[..., :count] for scores in (given, right)]
    same = (places[0][..., :, None] == places[1][..., None, :]).any(axis=-1)
    found: Array = same.mean(axis=-1).reshape(-1)
    return found


def _sqnr(name: str, cases: Sequence[str], answers: Answers, references: Answers) -> float | None:
    signal = noise = 0.0
    for case in cases:
        rows = (np.atleast_1d(some[case][name]) for some in (answers, references))
        for given, right in zip(*rows, strict=True):  # one at a time: a segmenter's answers in float64 are large
            if right.dtype.kind != "f" or not np.isfinite(right).all():
                return None
            signal += float(np.square(right, dtype=np.float64).sum())
            noise += float(np.square(np.subtract(given, right, dtype=np.float64)).sum())
    if not noise or not signal:
        return MOST_DB if not noise else 0.0
    return round(min(10 * math.log10(signal / noise), MOST_DB), 1)
