"""Whose tokens are whose: captions of pieces of photographs, ours next to those of transformers' own `generate`.

shown = pictures(50, 224)
line_of(agreement_of([write(one) for one in shown], [generate(one) for one in shown], begin=1))
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ovenbird.models.packages.captions.git import MEAN, STD
from ovenbird.verify.photographs import own_photographs
from ovenbird.verify.texts import TokenAgreement

LEAST_SHARE = 0.3
"""Of a photograph's shorter side, at least so much is a piece's side."""


def line_of(found: TokenAgreement) -> str:
    """Return an agreement in words."""
    return (
        f"{found.same} of {found.texts} captions are those of transformers in float32 to the last token; of "
        f"{found.compared} tokens behind the same ones {found.differ} differ ({found.share:.1%})."
    )


def pictures(count: int, side: int) -> list[np.ndarray]:
    """Return pieces of the compiler's photographs, each [1, 3, side, side], always the same ones."""
    random = np.random.default_rng(0)
    photographs = [Image.open(Path(file)).convert("RGB") for file in own_photographs()]
    found = []
    for place in range(count):
        image = photographs[place % len(photographs)]
        edge = int(min(image.size) * random.uniform(LEAST_SHARE, 1))
        left, top = (int(random.integers(extent - edge + 1)) for extent in image.size)
        piece = image.resize((side, side), Image.Resampling.BICUBIC, (left, top, left + edge, top + edge))
        pixels = (np.asarray(piece, np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
        found.append(np.ascontiguousarray(pixels.transpose(2, 0, 1))[None])
    return found
