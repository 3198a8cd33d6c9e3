"""Pictures without labels: those that are learned from, as views that differ each time, and those that are held back.

    album = Album.of(Path("photos"), seed=0)
    album.views(range(16), step=7, pipelines=(teacher.pipeline, student.pipeline))     # one batch for each network

A view is a part of a picture, mirrored or not. Both networks see the same one, each by its own pre-processing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ovenbird.errors import UsageError
from ovenbird.verify.photographs import SUFFIXES
from ovenbird_runtime.manifest.steps import Pipeline
from ovenbird_runtime.tensors.arrays import Array

if TYPE_CHECKING:
    from PIL.Image import Image

ALL_SUFFIXES = (*SUFFIXES, ".gif", ".bmp")
LEAST = 10
"""Pictures, of which a fifth are held back."""
HELD_SHARE = 5
MOST_HELD = 1000
AREA = (0.35, 1.0)
"""Of a view, as a share of its picture's."""
RATIO = (3 / 4, 4 / 3)


@dataclass(frozen=True)
class Album:
    """The pictures of a folder, parted once and for all."""

    learned: tuple[Path, ...]
    held: tuple[Path, ...]
    seed: int

    @staticmethod
    def of(folder: Path, seed: int) -> Album:
        """Find the pictures in a folder and those below it. Raises UsageError where they are too few."""
        found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in ALL_SUFFIXES and path.is_file())
        if len(found) < LEAST:
            raise UsageError(f"--images {folder} holds {len(found)} pictures, at least {LEAST} are needed")
        order = np.random.default_rng(seed).permutation(len(found))
        count = min(len(found) // HELD_SHARE, MOST_HELD)
        held, learned = ([found[place] for place in sorted(part)] for part in (order[:count], order[count:]))
        return Album(tuple(learned), tuple(held), seed)

    def views(self, count: int, step: int, pipelines: Sequence[Pipeline]) -> list[Array]:
        """Return `count` views of pictures to learn from, the same for the same step, one array for each pipeline."""
        draws = np.random.default_rng((self.seed, step))
        chosen = draws.choice(len(self.learned), count, replace=count > len(self.learned))
        pictures = [_view(_open(self.learned[place]), draws) for place in chosen]
        return _arrays(pictures, pipelines)

    def shown(self, pictures: Sequence[Path], pipelines: Sequence[Pipeline]) -> list[Array]:
        """Return pictures, whole, one array for each pipeline."""
        return _arrays([_open(path) for path in pictures], pipelines)


def _open(path: Path) -> Image:
    from ovenbird_runtime.preprocess.images import open_image

    return open_image(path)


def _view(picture: Image, draws: np.random.Generator) -> Image:
    """Cut a part out of a picture, and mirror every other one."""
    from PIL import ImageOps

    width, height = picture.size
    area, ratio = draws.uniform(*AREA) * width * height, np.exp(draws.uniform(*np.log(RATIO)))
    across, down = min(width, round(float(np.sqrt(area * ratio)))), min(height, round(float(np.sqrt(area / ratio))))
    left, top = (int(draws.integers(0, most + 1)) for most in (width - across, height - down))
    part = picture.crop((left, top, left + max(across, 1), top + max(down, 1)))
    return ImageOps.mirror(part) if draws.random() < 0.5 else part


def _arrays(pictures: Sequence[Image], pipelines: Sequence[Pipeline]) -> list[Array]:
    from ovenbird_runtime.preprocess.interpreted import apply

    found: dict[Pipeline, Array] = {}
    for pipeline in pipelines:
        if pipeline not in found:
            found[pipeline] = np.stack([apply(pipeline, one, seed=0, index=at) for at, one in enumerate(pictures)])
    return [found[pipeline] for pipeline in pipelines]
