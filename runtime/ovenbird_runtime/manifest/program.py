"""A program: one network function of a model, what it takes and gives, and the steps before and after it.

program = manifest.program()                 # the only one; `manifest.program("encode")` where there are several
program.inputs[0].with_batch(8)              # (8, 3, 224, 224)
program.preprocess.default                   # "imagenet"
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from ..errors import ManifestInvalid, shown
from ..limits import MAX_CALL_BYTES, MAX_IO_TENSORS, MAX_PIPELINES, MAX_RANK, MAX_STEPS
from .answers import AnswerStep, answers_problem
from .fields import ITEM_BYTES, NAME_TEXT, Dim, Dtype, Name
from .schema import Count, Text
from .steps import Step, problem

MAIN = "main"
"""The name of the only program of a network that has one."""


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: the first dimension may be "N", any batch; all others are fixed."""

    name: Name
    dtype: Dtype
    shape: Annotated[tuple[Dim | Literal["N"], ...], Count(0, MAX_RANK)]
    layout: Annotated[str, Text(r"[A-Za-z]*", MAX_RANK)] = ""

    @property
    def batched(self) -> bool:
        """Whether the first dimension is the batch."""
        return bool(self.shape) and self.shape[0] == "N"

    def with_batch(self, batch: int) -> tuple[int, ...]:
        """Return the shape for `batch` images (the shape itself where there is no batch dimension)."""
        return tuple(batch if dim == "N" else int(dim) for dim in self.shape)

    def room(self, batch: int) -> int:
        """Return the bytes for `batch` images, an empty dimension counted as one: what numpy must be able to
        address.
        """
        return ITEM_BYTES[self.dtype] * math.prod(max(1, dim) for dim in self.with_batch(batch))


@dataclass(frozen=True)
class Preprocess:
    """Named pipelines from an image to the program's input, and which one is the default."""

    default: Name | None = None
    pipelines: Annotated[
        dict[str, Annotated[tuple[Step, ...], Count(1, MAX_STEPS)]], Count(0, MAX_PIPELINES, NAME_TEXT)
    ] = field(default_factory=dict)


@dataclass(frozen=True)
class Program:
    """One network function: what it takes and gives, and the steps before and after it."""

    inputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    preprocess: Preprocess = field(default_factory=Preprocess)
    postprocess: Annotated[tuple[AnswerStep, ...], Count(0, MAX_IO_TENSORS)] = ()

    @property
    def batched(self) -> bool:
        """Whether it takes any number of rows."""
        return any(spec.batched for spec in self.inputs)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the images in its one input, [N, 3, height, width]; None where it takes no images."""
        shape = self.inputs[0].shape
        image = len(self.inputs) == 1 and len(shape) == 4 and shape[1] == 3
        return (int(shape[2]), int(shape[3])) if image else None


def check_program(program: Program, files: Mapping[str, object], where: str) -> None:
    """Check what one field of a program says about another. Raises ManifestInvalid."""
    for kind, specs in (("inputs", program.inputs), ("outputs", program.outputs)):
        check_unique([spec.name for spec in specs], kind, where)
        for spec in specs:
            if "N" in spec.shape[1:]:
                raise ManifestInvalid(f'{where}: {spec.name} has "N" beyond its first dimension: {shown(spec.shape)}')
    check_call(program, 1, where)
    if program.batched != all(spec.batched for spec in program.outputs):
        raise ManifestInvalid(f'{where}: all outputs must begin with "N" where an input does, and none where none does')
    pipelines = program.preprocess.pipelines
    if program.preprocess.default is not None and program.preprocess.default not in pipelines:
        raise ManifestInvalid(
            f"{where}: the default pipeline {shown(program.preprocess.default)} is not among {shown(sorted(pipelines))}"
        )
    for name, pipeline in pipelines.items():
        wrong = problem(pipeline)
        if wrong:
            raise ManifestInvalid(f"{where}: pipeline {shown(name)}: {wrong}")
    wrong = answers_problem(program.postprocess, {spec.name: spec.shape for spec in program.outputs}, files)
    if wrong:
        raise ManifestInvalid(f"{where}: {wrong}")


def check_call(program: Program, batch: int, where: str) -> None:
    """Refuse inputs and outputs that one call for `batch` images cannot have in memory. Raises ManifestInvalid."""
    size = sum(spec.room(batch) for spec in program.inputs + program.outputs)
    if size > MAX_CALL_BYTES:
        raise ManifestInvalid(
            f"{where}: inputs and outputs of batch {batch} take {size / 2**30:.3g} GiB, "
            f"limit {MAX_CALL_BYTES / 2**30:.3g} GiB: compile it for smaller batches or images"
        )


def check_unique(names: list[str], what: str, where: str) -> None:
    """Refuse a name that is there twice. Raises ManifestInvalid."""
    for name in names:
        if names.count(name) > 1:
            raise ManifestInvalid(f"{where} has two {what} named {shown(name)}")
