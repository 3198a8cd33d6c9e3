"""Outputs as they are, for programs whose outputs have no meaning that is known here.

RAW.answers(step, outputs, asked)           # one array a row, without the batch dimension
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..tensors.arrays import Array
from .kind import Asked, Kind, numbers


def _answers(step: Any, outputs: Mapping[str, Array], asked: Asked) -> list[Array]:
    return [row.copy() for row in outputs[step.output]]


def _json(answer: Array) -> Any:
    return numbers(answer.tolist())


def _lines(name: str, answer: Array) -> list[str]:
    return [f"{name}: {answer.dtype} {answer.shape} (--json for the values)"]


RAW = Kind("raw", _answers, _json, _lines)
