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

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Of the photographs in a folder of the user's."""
PHOTOGRAPHS = ("chelsea.jpg", "coffee.jpg", "rocket.jpg")
LINES = ("STOP", "Hello, world", "No. 48213")
LINE_PIXELS = 32
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


def drawn_lines(pipeline: Pipeline) -> Array:
    """Draw lines of text and pre-process them: what a network that reads text is sure of.

    A photograph without any says little of it: each place is a guess among thousands of classes, which rounding moves.
    """
    from PIL import Image, ImageDraw, ImageFont

    from ovenbird_runtime.preprocess.interpreted import apply

    font, drawn = ImageFont.load_default(LINE_PIXELS), []
    for index, text in enumerate(LINES):
        _, _, right, bottom = font.getbbox(text)
        picture = Image.new("RGB", (int(right) + 12, int(bottom) + 10), (240, 236, 228))
        ImageDraw.Draw(picture).text((6, 4), text, fill=(24, 24, 40), font=font)
        drawn.append(apply(pipeline, picture, seed=SEED, index=index))
    return np.stack(drawn)
