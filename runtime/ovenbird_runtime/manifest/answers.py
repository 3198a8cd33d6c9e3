"""Post-processing steps as data: what a program's outputs mean, and so what a user gets.

    (Classification(output="logits", labels="labels.txt"), Vector(output="embedding"))

Each reads an output of its program and gives one answer of its kind. `postprocess/` interprets these, a kind a file; a
new one is a dataclass here, in the union, and its file there, in the table. Outputs that no step reads are given as
they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from .fields import FilePath, Name

Shape = tuple[int | str, ...]
LABELS = "labels.txt"
"""Where the compiler writes a classification's labels."""


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Logits over classes: the most probable ones; `labels` is the file of their names, one a line."""

    step: Literal["classification"] = "classification"
    output: Name
    labels: FilePath | None = None

    def problem(self, shape: Shape) -> str | None:
        """Say in one line why no output of this `shape` is one; None where it may be."""
        if len(shape) != 2:
            return f"{self.output} is a classification but not of two dimensions"
        if self.labels is not None and not isinstance(shape[-1], int):
            return f"{self.output} has labels but no dimension of classes"
        return None


@dataclass(frozen=True, kw_only=True)
class Vector:
    """An embedding: the mean and variance of its elements, and the elements where they are asked for."""

    step: Literal["embedding"] = "embedding"
    output: Name

    def problem(self, shape: Shape) -> str | None:
        """Say in one line why no output of this `shape` is one; None where it may be."""
        return None


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An output as it is."""

    step: Literal["raw"] = "raw"
    output: Name

    def problem(self, shape: Shape) -> str | None:
        """Say in one line why no output of this `shape` is one; None where it may be."""
        return None


AnswerStep = Classification | Vector | Raw


def labels_of(step: AnswerStep) -> str | None:
    """Return the file of labels that a step names; None where it names none."""
    return step.labels if isinstance(step, Classification) else None


def answers_problem(
    steps: tuple[AnswerStep, ...], shapes: Mapping[str, Shape], files: Mapping[str, object]
) -> str | None:
    """Say in one line what is wrong with a program's steps, given its outputs' shapes and the artifact's files; None
    where nothing is.
    """
    taken: set[str] = set()
    for step in steps:
        if step.output not in shapes:
            return f"post-processing of {step.output!r}, which is no output"
        if step.output in taken:
            return f"two post-processings named {step.output!r}"
        taken.add(step.output)
        wrong = step.problem(shapes[step.output])
        if wrong:
            return wrong
        labels = labels_of(step)
        if labels is not None and labels not in files:
            return f"the labels {labels!r} are not in the file table"
    return None
