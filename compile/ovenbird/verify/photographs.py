"""The photographs that every image network is verified on; they come with the compiler (`data/LICENCES.md`).

read_photographs(own_photographs(), pipeline)      # float32 [N, 3, H, W], by the runtime's own pre-processing
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ovenbird.resources import data_file
from ovenbird_runtime.manifest.steps import Pipeline
from ovenbird_runtime.tensors.arrays import Array

PHOTOGRAPHS = ("chelsea.jpg", "coffee.jpg", "rocket.jpg")
SEED = 0
"""For pipelines that crop at random."""


def own_photographs() -> list[Path]:
    """Return the photographs that come with the compiler."""
    return [data_file(name) for name in PHOTOGRAPHS]


def read_photographs(paths: Sequence[Path], pipeline: Pipeline) -> Array:
    """Decode and pre-process photographs as the runtime does. Raises its ImageError."""
    from ovenbird_runtime.preprocess.images import open_image
    from ovenbird_runtime.preprocess.interpreted import apply

    return np.stack([apply(pipeline, open_image(path), seed=SEED, index=i) for i, path in enumerate(paths)])
