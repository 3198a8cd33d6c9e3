"""Options of a prediction, defined once: for Python, the commands and each form of request.

PredictOptions(top=5, seed=7)           # the rest is the default
PredictOptions(top=0)                   # WrongOption: top is 0, expected a whole number from 1 to 1000
"""

from __future__ import annotations

import operator
import os
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, Literal

from .arguments import flag, real, sides, whole
from .dataclass import dataclass
from .errors import WrongOption, shown
from .limits import (
    MAX_BEAMS,
    MAX_BOXES,
    MAX_CLASS_FILTERS,
    MAX_PROMPT_CHARS,
    MAX_TILE_OVERLAP,
    MAX_TOKENS,
    MAX_TOP,
)

NETWORK = "network"
"""For tiles: the size of the network's input."""
TILE_OVERLAP = 0.2
_LARGEST_SEED = (1 << 63) - 1


def fresh_seed() -> int:
    """Draw the seed of a call that names none."""
    return int.from_bytes(os.urandom(4), "little")


@dataclass(frozen=True)
class PredictOptions:
    """The options of one call, checked, as Python's own values. Raises WrongOption.

    `preprocess` names a pipeline of the manifest (None: the manifest's default), `top` is how many classes to return,
    `seed` makes random pre-processing repeatable, `embedding` asks for the embedding's vector too. Of boxes, those of a
    score above `score` count, those of these `classes` (labels or indices), and at most `max_boxes`; beyond an overlap
    of `iou` they suppress each other, with `agnostic` across classes, too. `image_size` (height and width, or the side
    of a square) chooses among the sizes that the model was compiled for. None is the model's own setting. `tiles` (as
    `image_size`, or "network") are looked into, too; a tile shares `tile_overlap` with its neighbour.

    Of a text that is made token by token, `prompt` is what it goes on from, `max_tokens` how many tokens may follow,
    and `beams` how many sequences are searched through at a time (1: greedily). None is the model's own setting.
    """

    preprocess: str | None = None
    top: int = 2
    seed: int = field(default_factory=fresh_seed)
    embedding: bool = False
    score: float | None = None
    iou: float | None = None
    max_boxes: int | None = None
    classes: tuple[str, ...] | None = None
    agnostic: bool | None = None
    image_size: tuple[int, ...] | None = None
    tiles: tuple[int, ...] | Literal["network"] | None = None
    tile_overlap: float = TILE_OVERLAP
    prompt: str | None = None
    max_tokens: int | None = None
    beams: int | None = None

    def __post_init__(self) -> None:
        """Check the values; `preprocess` is looked up in a manifest, by who has one."""
        object.__setattr__(self, "top", whole("top", self.top, 1, MAX_TOP))
        object.__setattr__(self, "seed", whole("seed", self.seed, 0, _LARGEST_SEED))
        object.__setattr__(self, "embedding", flag("embedding", self.embedding))
        for name in ("score", "iou"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, real(name, value, 1.0, or_zero=True))
        if self.max_boxes is not None:
            object.__setattr__(self, "max_boxes", whole("max_boxes", self.max_boxes, 1, MAX_BOXES))
        if self.classes is not None:
            object.__setattr__(self, "classes", _class_names(self.classes))
        if self.agnostic is not None:
            object.__setattr__(self, "agnostic", flag("agnostic", self.agnostic))
        if self.image_size is not None:
            object.__setattr__(self, "image_size", sides("image_size", self.image_size))
        if self.tiles is not None and self.tiles != NETWORK:
            object.__setattr__(self, "tiles", sides("tiles", self.tiles))
        object.__setattr__(
            self, "tile_overlap", real("tile_overlap", self.tile_overlap, MAX_TILE_OVERLAP, or_zero=True)
        )

        if self.prompt is not None and (not isinstance(self.prompt, str) or len(self.prompt) > MAX_PROMPT_CHARS):
            raise WrongOption(f"prompt is {shown(self.prompt)}, expected text of at most {MAX_PROMPT_CHARS} characters")
        if self.max_tokens is not None:
            object.__setattr__(self, "max_tokens", whole("max_tokens", self.max_tokens, 1, MAX_TOKENS))
        if self.beams is not None:
            object.__setattr__(self, "beams", whole("beams", self.beams, 1, MAX_BEAMS))

    @property
    def of_text(self) -> tuple[str, ...]:
        """The names of what was asked for that only texts made token by token have."""
        return tuple(name for name in TEXT_OPTIONS if getattr(self, name) is not None)

    @property
    def of_boxes(self) -> tuple[str, ...]:
        """The names of what was asked for that only boxes have."""
        return tuple(name for name in BOX_OPTIONS if getattr(self, name) is not None)


BOX_OPTIONS = ("score", "iou", "max_boxes", "classes", "agnostic", "tiles")
TEXT_OPTIONS = ("prompt", "max_tokens", "beams")
ALIASES = {"imgsz": "image_size", "conf": "score", "max_det": "max_boxes", "agnostic_nms": "agnostic"}
"""Ultralytics' names of options."""


def with_aliases(given: Mapping[str, Any], aliases: Mapping[str, Any]) -> dict[str, Any]:
    """Return options by their own names. Raises WrongOption for one given twice, TypeError for an unknown name."""
    found = dict(given)
    for name, value in aliases.items():
        if name not in ALIASES:
            raise TypeError(f"unexpected keyword argument {name!r}; there are {', '.join((*given, *ALIASES))}")
        option = ALIASES[name]
        if found.get(option) is not None:
            raise WrongOption(f"both {option} and {name} are given, which are one: give one")
        found[option] = value
    return found


def _class_names(value: Any) -> tuple[str, ...]:
    """Return labels and indices as text: of one, or of several."""
    items = [value] if isinstance(value, (str, int)) else value
    try:
        names = tuple(item if isinstance(item, str) else str(operator.index(item)) for item in items)
    except TypeError:
        names = ()
    if not names or any(isinstance(item, bool) for item in items):
        raise WrongOption(f"classes is {shown(value)}, expected labels or indices of classes")
    if len(names) > MAX_CLASS_FILTERS:
        raise WrongOption(f"classes has {len(names)} names, limit {MAX_CLASS_FILTERS}")
    return names


OPTION_NAMES = tuple(option.name for option in fields(PredictOptions))
