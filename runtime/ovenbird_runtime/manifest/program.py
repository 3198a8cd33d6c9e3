"""A program: one network function of a model, what it takes and gives, and the steps before and after it.

program = manifest.program()                 # the only one; `manifest.program("encode")` where there are several
program.inputs[0].with_batch(8)              # (8, 3, 224, 224)
program.preprocess.default                   # "imagenet"

A program may be compiled for several image sizes. What depends on them is written "H" (the images' height), "W" (their
width) or "?" in its shapes, and `sizes` lists each size with all shapes:

program.inputs[0].shape                      # ("N", 3, "H", "W")
program.at((320, 480)).inputs[0].shape       # ("N", 3, 320, 480)
program.size_of({"image": array})            # (320, 480), or WrongShape
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from typing import Annotated, Literal

from ..dataclass import dataclass
from ..errors import ManifestInvalid, WrongShape, shown
from ..limits import MAX_CALL_BYTES, MAX_IMAGE_SIZES, MAX_IO_TENSORS, MAX_PIPELINES, MAX_RANK, MAX_STEPS
from .answers import AnswerStep, answers_problem
from .fields import ITEM_BYTES, NAME_TEXT, Dim, Dtype, Name
from .schema import Count, Text
from .steps import Side, Step, output_size, problem

MAIN = "main"
"""The name of the only program of a network that has one."""


InputSize = tuple[int, ...]
"""Height and width in pixels; empty for a program that has but one size."""
OPEN = frozenset({"H", "W", "?"})
"""Dimensions that depend on the image size."""
FixedShape = tuple[Dim | Literal["N"], ...]
OpenShape = tuple[Dim | Literal["N", "H", "W", "?"], ...]


@dataclass(frozen=True)
class TensorSpec:
    """One input or output: the first dimension may be "N", any batch; those in `OPEN` follow the image size."""

    name: Name
    dtype: Dtype
    shape: Annotated[OpenShape, Count(0, MAX_RANK)]
    layout: Annotated[str, Text(r"[A-Za-z]*", MAX_RANK)] = ""

    @property
    def batched(self) -> bool:
        """Whether the first dimension is the batch."""
        return bool(self.shape) and self.shape[0] == "N"

    def with_batch(self, batch: int) -> tuple[int, ...]:
        """Return the shape for `batch` images (the shape itself where there is no batch dimension).

        Of a program for several image sizes this is to be asked of `Program.at` one of them.
        """
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
class ProgramSize:
    """One image size of a program, and the shapes of its inputs and outputs then, in order."""

    size: Annotated[tuple[Side, ...], Count(2, 2)]
    """Height, then width, in pixels."""
    inputs: Annotated[tuple[Annotated[FixedShape, Count(0, MAX_RANK)], ...], Count(1, MAX_IO_TENSORS)]
    outputs: Annotated[tuple[Annotated[FixedShape, Count(0, MAX_RANK)], ...], Count(1, MAX_IO_TENSORS)]


@dataclass(frozen=True)
class Program:
    """One network function: what it takes and gives, and the steps before and after it."""

    inputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    outputs: Annotated[tuple[TensorSpec, ...], Count(1, MAX_IO_TENSORS)]
    preprocess: Preprocess = field(default_factory=Preprocess)
    postprocess: Annotated[tuple[AnswerStep, ...], Count(0, MAX_IO_TENSORS)] = ()
    sizes: Annotated[tuple[ProgramSize, ...], Count(0, MAX_IMAGE_SIZES)] = ()
    """The image sizes it was compiled for, the usual one first; empty where there is but one."""

    @property
    def image_sizes(self) -> tuple[InputSize, ...]:
        """All image sizes, the usual one first; one that is empty for a program that has but one."""
        return tuple(one.size for one in self.sizes) or ((),)

    def at(self, size: InputSize) -> Program:
        """Return the program as it is for images of one of its sizes. Raises WrongShape."""
        if not size and not self.sizes:
            return self
        found = next((one for one in self.sizes if one.size == size), None)
        if found is None:
            raise WrongShape(f"images of {size_text(size) or 'any size'}: {self._choice()}")
        inputs = tuple(replace(spec, shape=shape) for spec, shape in zip(self.inputs, found.inputs, strict=True))
        outputs = tuple(replace(spec, shape=shape) for spec, shape in zip(self.outputs, found.outputs, strict=True))
        return replace(self, inputs=inputs, outputs=outputs, sizes=())

    def size_of(self, shapes: Mapping[str, tuple[int, ...]]) -> InputSize:
        """Return the image size that inputs of these shapes have. Raises WrongShape naming the sizes there are."""
        if not self.sizes:
            return ()
        given = [shapes[spec.name][1 if spec.batched else 0 :] for spec in self.inputs]
        for one in self.sizes:
            if given == [
                shape[1 if spec.batched else 0 :] for spec, shape in zip(self.inputs, one.inputs, strict=True)
            ]:
                return one.size
        what = ", ".join(f"{spec.name} has shape {tuple(shapes[spec.name])}" for spec in self.inputs)
        raise WrongShape(f"{what}: {self._choice()}")

    def _choice(self) -> str:
        return f"the network was compiled for images of {sizes_text(self.image_sizes)} (height x width)"

    @property
    def batched(self) -> bool:
        """Whether it takes any number of rows."""
        return any(spec.batched for spec in self.inputs)

    @property
    def image_size(self) -> tuple[int, int] | None:
        """Height and width of the images in its one input, [N, 3, height, width]; None where it takes no images."""
        shape = self.inputs[0].shape
        image = len(self.inputs) == 1 and len(shape) == 4 and shape[1] == 3 and not self.sizes
        return (int(shape[2]), int(shape[3])) if image else None


def size_text(size: InputSize) -> str:
    """Return a size as it is written on the command line, `320x480`: height, then width."""
    return "x".join(map(str, size))


def sizes_text(sizes: Sequence[InputSize]) -> str:
    """Return sizes as a list for people, cut where there are many."""
    text = ", ".join(map(size_text, sizes[:12]))
    return text if len(sizes) <= 12 else f"{text} and {len(sizes) - 12} more"


def check_program(program: Program, files: Mapping[str, object], where: str) -> None:
    """Check what one field of a program says about another. Raises ManifestInvalid."""
    for kind, specs in (("inputs", program.inputs), ("outputs", program.outputs)):
        check_unique([spec.name for spec in specs], kind, where)
        for spec in specs:
            if "N" in spec.shape[1:]:
                raise ManifestInvalid(f'{where}: {spec.name} has "N" beyond its first dimension: {shown(spec.shape)}')
    _check_sizes(program, where)
    for size in program.image_sizes:
        check_call(program.at(size), 1, where)
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
        if program.sizes and output_size(pipeline) not in program.image_sizes:
            raise ManifestInvalid(
                f"{where}: pipeline {shown(name)} gives images of {size_text(output_size(pipeline)) or 'any size'}, "
                f"the program takes {sizes_text(program.image_sizes)}"
            )
    for size in program.image_sizes:
        outputs = {spec.name: spec for spec in program.at(size).outputs}
        wrong = answers_problem(program.postprocess, outputs, files)
        if wrong:
            raise ManifestInvalid(f"{where}: {wrong}")


def _check_sizes(program: Program, where: str) -> None:
    """Refuse sizes that are not what the shapes of the program say. Raises ManifestInvalid."""
    specs = program.inputs + program.outputs
    if not program.sizes:
        for spec in specs:
            if OPEN & set(spec.shape):
                raise ManifestInvalid(f"{where}: {spec.name} is {shown(spec.shape)}, but there are no image sizes")
        return
    if not any(OPEN & set(spec.shape) for spec in program.inputs):
        raise ManifestInvalid(f"{where}: there are image sizes, but no input's shape depends on them")
    check_unique([size_text(one.size) for one in program.sizes], "image sizes", where)
    if len({one.inputs for one in program.sizes}) != len(program.sizes):
        raise ManifestInvalid(f"{where}: two image sizes have inputs of the same shapes")
    for one in program.sizes:
        known = {"H": one.size[0], "W": one.size[1]}
        if len(one.inputs) != len(program.inputs) or len(one.outputs) != len(program.outputs):
            raise ManifestInvalid(
                f"{where}: size {size_text(one.size)} has {len(one.inputs)} inputs and {len(one.outputs)} outputs, "
                f"the program {len(program.inputs)} and {len(program.outputs)}"
            )
        for spec, shape in zip(specs, one.inputs + one.outputs, strict=True):
            fits = len(shape) == len(spec.shape) and all(
                isinstance(have, int) if dim == "?" else have == known.get(str(dim), dim)
                for dim, have in zip(spec.shape, shape, strict=True)
            )
            if not fits:
                raise ManifestInvalid(
                    f"{where}: {spec.name} is {shown(spec.shape)}, and {shown(shape)} for images of "
                    f"{size_text(one.size)}"
                )


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
