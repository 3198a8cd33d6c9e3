"""Whose tokens are whose: captions of pieces of photographs, ours beside those of transformers' own `generate`.

    shown = pictures(50, 224)
    agreement_of([write(one) for one in shown], [generate(one) for one in shown], begin=1).line()

Behind the first token that differs, two captions go on from other words, so that nothing behind it is compared: what is
counted is how often the next token differs where all before it are alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ovenbird.models.packages.captions.git import MEAN, STD
from ovenbird.verify.photographs import own_photographs

LEAST_SHARE = 0.3
"""Of a photograph's shorter side, at least so much is a piece's side."""


@dataclass
class TokenAgreement:
    """How many captions are the same to the last token; how many tokens were compared, and how many of them differ."""

    captions: int = 0
    same: int = 0
    compared: int = 0
    differ: int = 0

    def add(self, own: Sequence[int], right: Sequence[int], begin: int) -> None:
        """Count a caption; the first `begin` tokens were given."""
        pairs = list(zip(own, right, strict=False))[begin:]
        alike = next((place for place, (one, other) in enumerate(pairs) if one != other), len(pairs))
        whole = alike == len(pairs) and len(own) == len(right)
        self.captions += 1
        self.same += whole
        self.compared += alike + (not whole)
        self.differ += not whole

    @property
    def share(self) -> float:
        """The share of the compared tokens that differ."""
        return self.differ / max(self.compared, 1)

    def line(self) -> str:
        """Return it in words."""
        return (
            f"{self.same} of {self.captions} captions are those of transformers in float32 to the last token; of "
            f"{self.compared} tokens behind the same ones {self.differ} differ ({self.share:.1%})."
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


def agreement_of(texts: Sequence[Sequence[int]], right: Sequence[Sequence[int]], begin: int) -> TokenAgreement:
    """Compare the captions of the first pictures with the right ones; each begins with `begin` given tokens."""
    found = TokenAgreement()
    for own, other in zip(texts, right, strict=False):
        found.add(own, other, begin)
    return found
