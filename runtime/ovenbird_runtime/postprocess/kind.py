"""What a kind of answer is: how it is made of a program's outputs, said in JSON, and written for people.

KIND = Kind("classes", answers, to_json, lines)         # in a file of its own, and in `table.py`
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Any

from ..dataclass import dataclass
from ..manifest.answers import AnswerStep
from ..options import PredictOptions
from ..tensors.arrays import Array
from ..tensors.frame import Frame


@dataclass(frozen=True)
class Asked:
    """What a step may need besides the outputs: what the user asked for, the labels by output, and for each row where
    the network's input lies in its image (none for tensors that come from no image).
    """

    options: PredictOptions
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    frames: Sequence[Frame] = ()


@dataclass(frozen=True)
class Kind:
    """One kind of answer."""

    field: str
    """Its name in `Prediction.answers` and in JSON."""
    answers: Callable[[AnswerStep, Mapping[str, Array], Asked], Sequence[Any]]
    """Return one answer a row of the outputs, each [N, ...]."""
    to_json: Callable[[Any], Any]
    lines: Callable[[str, Any], list[str]]
    """Return an answer as lines for people, given the output's name."""
    always: bool = True
    """Whether the JSON of a model that has none of it says so."""
    check: Callable[[Any, Asked], None] | None = None
    """Refuse what was asked for and the step cannot give, before anything is run. Raises WrongOption."""


def number(value: float) -> float | None:
    """Return a number as JSON can say it: what is not finite becomes None."""
    return value if math.isfinite(value) else None


def numbers(value: Any) -> Any:
    """Return nested lists of numbers as JSON can say them."""
    if isinstance(value, list):
        return [numbers(item) for item in value]
    return number(value) if isinstance(value, float) else value
