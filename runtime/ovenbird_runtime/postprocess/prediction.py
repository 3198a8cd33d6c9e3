"""One image's answers, typed, and as JSON.

prediction.top[0].label, prediction.embedding.mean
json.dumps(prediction.to_json())
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..artifact.manifest import Manifest, WeightsInfo
from ..options import PredictOptions
from ..tensors.arrays import Array
from .classes import ClassScore, top_classes
from .embedding import Embedding, summarise


@dataclass(frozen=True)
class Prediction:
    """What a network says about one image: by output, as the manifest describes them."""

    model: str
    weights: WeightsInfo
    """Where the weights come from; with `weights.random` the answer means nothing."""
    preprocess: str
    seed: int
    """What random steps of the pipeline drew from."""
    classes: Mapping[str, tuple[ClassScore, ...]] = field(default_factory=dict)
    embeddings: Mapping[str, Embedding] = field(default_factory=dict)
    raw: Mapping[str, Array] = field(default_factory=dict)
    """Outputs that the manifest gives no meaning to, without their batch dimension."""

    @property
    def top(self) -> tuple[ClassScore, ...]:
        """The classes of the first classification output, most probable first; empty where there is none."""
        return next(iter(self.classes.values()), ())

    @property
    def embedding(self) -> Embedding | None:
        """The first embedding; None where there is none."""
        return next(iter(self.embeddings.values()), None)

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; a number that JSON cannot say (NaN) becomes null."""
        return {
            "model": self.model,
            "random_weights": self.weights.random,
            "preprocess": self.preprocess,
            "seed": self.seed,
            "classes": {
                name: [
                    {"index": score.index, "label": score.label, "confidence": _number(score.confidence)}
                    for score in scores
                ]
                for name, scores in self.classes.items()
            },
            "embeddings": {name: _embedding_json(value) for name, value in self.embeddings.items()},
            "raw": {name: _nested(value.tolist()) for name, value in self.raw.items()},
        }


def _embedding_json(value: Embedding) -> dict[str, Any]:
    result: dict[str, Any] = {"mean": _number(value.mean), "variance": _number(value.variance)}
    return result if value.vector is None else result | {"vector": _nested(value.vector.tolist())}


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _nested(value: Any) -> Any:
    if isinstance(value, list):
        return [_nested(item) for item in value]
    return _number(value) if isinstance(value, float) else value


def explain(
    manifest: Manifest,
    outputs: Mapping[str, Array],
    labels: Mapping[str, Sequence[str]],
    pipeline: str,
    options: PredictOptions,
) -> list[Prediction]:
    """Turn the outputs of one batch, each [N, ...], into N predictions; `pipeline` made its inputs."""
    kinds = {post.output: post.kind for post in manifest.postprocess}
    count = len(next(iter(outputs.values())))
    classes = {
        n: top_classes(a, labels.get(n), options.top) for n, a in outputs.items() if kinds.get(n) == "classification"
    }
    embeddings = {n: summarise(a, options.embedding) for n, a in outputs.items() if kinds.get(n) == "embedding"}
    others = {n: a for n, a in outputs.items() if n not in classes and n not in embeddings}
    return [
        Prediction(
            model=manifest.model.name,
            weights=manifest.model.weights,
            preprocess=pipeline,
            seed=options.seed,
            classes={name: rows[i] for name, rows in classes.items()},
            embeddings={name: rows[i] for name, rows in embeddings.items()},
            raw={name: array[i].copy() for name, array in others.items()},
        )
        for i in range(count)
    ]
