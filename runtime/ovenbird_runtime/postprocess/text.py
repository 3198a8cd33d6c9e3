"""Text: what a model wrote of a picture step by step, and lines that were read by connectionist classification (CTC).

read_line(probabilities, labels, blank=0)       # TextAnswer("STOP", confidence=0.98)

Of CTC the most probable class at each place is taken; runs of one class count once, blanks part them and are no
characters (Graves et al. 2006, "best path decoding"). The confidence is the mean probability of the places that gave
the characters, as PaddleOCR computes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..dataclass import dataclass
from ..manifest.answers import Ctc
from ..tensors.arrays import Array
from .kind import Asked, Kind, number


@dataclass(frozen=True)
class TextAnswer:
    """A text; of a model that makes it token by token, the tokens, and what ended it: one of them, or the length."""

    text: str
    tokens: tuple[int, ...] | None = None
    finish: Literal["end", "length"] | None = None
    confidence: float | None = None
    """0 to 1, of a line that was read; 0 where it is empty."""


def read_line(probabilities: Array, labels: Sequence[str], blank: int) -> TextAnswer:
    """Read one line from probabilities of classes at each place along it, float32 [T, V]."""
    best = probabilities.argmax(axis=-1)
    kept = best != blank
    kept[1:] &= best[1:] != best[:-1]
    text = "".join(labels[int(place)] for place in best[kept])
    scores = probabilities.max(axis=-1)[kept]
    return TextAnswer(text, confidence=float(scores.mean(dtype="float64")) if len(scores) else 0.0)


def _answers(step: Any, outputs: Mapping[str, Array], asked: Asked) -> list[TextAnswer]:
    assert isinstance(step, Ctc)
    return [read_line(row, asked.labels[step.output], step.blank) for row in outputs[step.output]]


def _json(answer: TextAnswer) -> dict[str, Any]:
    found: dict[str, Any] = {"text": answer.text}
    if answer.tokens is not None:
        found |= {"tokens": list(answer.tokens), "finish": answer.finish}
    return found if answer.confidence is None else found | {"confidence": number(answer.confidence)}


def _lines(name: str, answer: TextAnswer) -> list[str]:
    shown = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in answer.text)
    return [shown if answer.confidence is None else f"{shown}  {100 * answer.confidence:.1f} %"]


TEXTS = Kind("text", _answers, _json, _lines, always=False)
