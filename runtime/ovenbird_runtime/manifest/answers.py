"""Post-processing steps as data: what a program's outputs mean, and so what a user gets.

    (Classification(output="logits", labels="labels.txt"), Vector(output="embedding"))

Each reads one output of its program, or several (`read`), and gives one answer of its kind under the name of the first.
`postprocess/` interprets these, a kind a file; a new one is a dataclass here, in the union, and its file there, in the
table. Outputs that no step reads are given as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Protocol

from ..dataclass import dataclass
from ..limits import MAX_BOXES, MAX_KEYPOINTS, MAX_LABELS, MAX_MASK_SIDE
from .fields import FilePath, Name
from .schema import Range

Shape = tuple[int | str, ...]
Proportion = Annotated[float, Range(0.0, 1.0)]
NmsKind = Literal["hard", "soft", "none"]
LABELS = "labels.txt"
"""Where the compiler writes a classification's labels."""


class Output(Protocol):
    """What a step may ask of an output: a `TensorSpec` is one."""

    @property
    def dtype(self) -> str:
        """The type of its elements."""

    @property
    def shape(self) -> Shape:
        """Its dimensions, those that are not fixed by name."""


Outputs = Mapping[str, Output]


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Logits over classes: the most probable ones; `labels` is the file of their names, one a line."""

    step: Literal["classification"] = "classification"
    output: Name
    labels: FilePath | None = None

    @property
    def read(self) -> tuple[str, ...]:
        """The outputs that it reads."""
        return (self.output,)

    def problem(self, outputs: Outputs) -> str | None:
        """Say in one line why the outputs it reads cannot be this; None where they may be."""
        shape = outputs[self.output].shape
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

    @property
    def read(self) -> tuple[str, ...]:
        """The outputs that it reads."""
        return (self.output,)

    def problem(self, outputs: Outputs) -> str | None:
        """Say in one line why the outputs it reads cannot be this; None where they may be."""
        return None


@dataclass(frozen=True, kw_only=True)
class Raw:
    """An output as it is."""

    step: Literal["raw"] = "raw"
    output: Name

    @property
    def read(self) -> tuple[str, ...]:
        """The outputs that it reads."""
        return (self.output,)

    def problem(self, outputs: Outputs) -> str | None:
        """Say in one line why the outputs it reads cannot be this; None where they may be."""
        return None


@dataclass(frozen=True, kw_only=True)
class Boxes:
    """Boxes with scores and classes, K candidates an image, of which the runtime keeps the best that do not overlap.

    What decodes a network's rows is in the program. `score`, `iou`, `max_boxes` and `agnostic` are the model's own
    settings, which a call may change.
    """

    step: Literal["boxes"] = "boxes"
    output: Name = "boxes"
    """float32 [N, K, 4]: left, top, right and bottom in pixels of the network's input."""
    scores: Name = "scores"
    """float32 [N, K]: 0 to 1, of the candidate's class; candidates stand in any order."""
    classes: Name = "classes"
    """int32 or int64 [N, K]: indices into the labels."""
    masks: Name | None = None
    """float32 [N, K, m, m]: probabilities within the box."""
    keypoints: Name | None = None
    """float32 [N, K, P, 3]: across and down in pixels of the network's input, and a score."""
    labels: FilePath | None = None
    score: Proportion = 0.25
    """Candidates count whose score is above."""
    iou: Proportion = 0.45
    """Of two boxes whose intersection over union is above, the one of the lower score goes."""
    max_boxes: Annotated[int, Range(1, MAX_BOXES)] = 100
    agnostic: bool = False
    """Whether boxes of different classes suppress each other, too."""
    nms: NmsKind = "hard"
    """"hard" removes, "soft" lowers the score by a Gaussian of the overlap, "none" leaves all."""

    @property
    def read(self) -> tuple[str, ...]:
        """The outputs that it reads."""
        names = (self.output, self.scores, self.classes, self.masks, self.keypoints)
        return tuple(name for name in names if name is not None)

    def problem(self, outputs: Outputs) -> str | None:
        """Say in one line why the outputs it reads cannot be this; None where they may be."""
        boxes = outputs[self.output].shape
        candidates = boxes[1] if len(boxes) == 3 else 0
        wanted = {
            self.output: (("N", candidates, 4), ("float32",)),
            self.scores: (("N", candidates), ("float32",)),
            self.classes: (("N", candidates), ("int32", "int64")),
        }
        if self.masks is not None:
            side = outputs[self.masks].shape[-1:] or (0,)
            if isinstance(side[0], int) and not 1 <= side[0] <= MAX_MASK_SIDE:
                return f"{self.masks} has masks of {side[0]} pixels a side, limit {MAX_MASK_SIDE}"
            wanted[self.masks] = (("N", candidates, *side, *side), ("float32",))
        if self.keypoints is not None:
            points = outputs[self.keypoints].shape[2:3] or (0,)
            if isinstance(points[0], int) and not 1 <= points[0] <= MAX_KEYPOINTS:
                return f"{self.keypoints} has {points[0]} keypoints a box, limit {MAX_KEYPOINTS}"
            wanted[self.keypoints] = (("N", candidates, *points, 3), ("float32",))
        for name, (shape, dtypes) in wanted.items():
            found = outputs[name]
            if found.shape != shape or found.dtype not in dtypes:
                expected = f"{' or '.join(dtypes)} [{', '.join(map(str, shape))}]"
                return (
                    f"{name} is {found.dtype} [{', '.join(map(str, found.shape))}], "
                    f"for boxes it would have to be {expected}"
                )
        return None


@dataclass(frozen=True, kw_only=True)
class Ctc:
    """Probabilities of characters at each place along a line of text, and of none (`blank`): the line."""

    step: Literal["ctc"] = "ctc"
    output: Name
    """float32 [N, T, V]."""
    labels: FilePath
    """The characters, a class a line; that of the blank is never shown."""
    blank: Annotated[int, Range(0, MAX_LABELS)] = 0

    @property
    def read(self) -> tuple[str, ...]:
        """The outputs that it reads."""
        return (self.output,)

    def problem(self, outputs: Outputs) -> str | None:
        """Say in one line why the outputs it reads cannot be this; None where they may be."""
        found = outputs[self.output]
        if len(found.shape) != 3 or found.dtype != "float32" or not isinstance(found.shape[-1], int):
            shape = ", ".join(map(str, found.shape))
            return f"{self.output} is {found.dtype} [{shape}], a line of text is float32 [N, places, classes]"
        if self.blank >= found.shape[-1]:
            return f"{self.output} has {found.shape[-1]} classes, the blank is class {self.blank}"
        return None


AnswerStep = Classification | Vector | Boxes | Ctc | Raw


def labels_of(step: AnswerStep) -> str | None:
    """Return the file of labels that a step names; None where it names none."""
    return step.labels if isinstance(step, (Classification, Boxes, Ctc)) else None


def label_count(step: AnswerStep, outputs: Outputs) -> int | None:
    """Return how many labels a step must have; None where any number will do."""
    return int(outputs[step.output].shape[-1]) if isinstance(step, (Classification, Ctc)) else None


def answers_problem(steps: tuple[AnswerStep, ...], outputs: Outputs, files: Mapping[str, object]) -> str | None:
    """Say in one line what is wrong with a program's steps, given its outputs and the artifact's files; None where
    nothing is.
    """
    taken: set[str] = set()
    for step in steps:
        for name in step.read:
            if name not in outputs:
                return f"post-processing of {name!r}, which is no output"
            if name in taken:
                return f"two post-processings named {name!r}"
            taken.add(name)
        wrong = step.problem(outputs)
        if wrong:
            return wrong
        labels = labels_of(step)
        if labels is not None and labels not in files:
            return f"the labels {labels!r} are not in the file table"
    return None
