"""Options of a prediction, defined once: for Python, the commands and each form of request.

PredictOptions(top=5, seed=7)           # the rest is the default
PredictOptions(top=0)                   # WrongOption: top is 0, expected a whole number from 1 to 1000
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields

from .arguments import flag, whole
from .limits import MAX_TOP

_LARGEST_SEED = (1 << 63) - 1


def fresh_seed() -> int:
    """Draw the seed of a call that names none."""
    return int.from_bytes(os.urandom(4), "little")


@dataclass(frozen=True)
class PredictOptions:
    """The options of one call, checked, as Python's own values. Raises WrongOption.

    `preprocess` names a pipeline of the manifest (None: the manifest's default), `top` is how many classes to return,
    `seed` makes random pre-processing repeatable, `embedding` asks for the embedding's vector too.
    """

    preprocess: str | None = None
    top: int = 2
    seed: int = field(default_factory=fresh_seed)
    embedding: bool = False

    def __post_init__(self) -> None:
        """Check the values; `preprocess` is looked up in a manifest, by who has one."""
        object.__setattr__(self, "top", whole("top", self.top, 1, MAX_TOP))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0, _LARGEST_SEED))
        object.__setattr__(self, "embedding", flag("embedding", self.embedding))


OPTION_NAMES = tuple(option.name for option in fields(PredictOptions))
