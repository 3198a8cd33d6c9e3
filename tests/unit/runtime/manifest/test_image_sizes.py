"""Programs for several image sizes: which size an input has, and what a program is at each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ovenbird_runtime.errors import ManifestInvalid, WrongShape
from ovenbird_runtime.manifest.manifest import Boxes, Preprocess, Program, ProgramSize, TensorSpec
from ovenbird_runtime.manifest.program import check_program
from ovenbird_runtime.manifest.schema import decode, encode
from ovenbird_runtime.manifest.steps import CentreCrop, Normalise, Pad, Resize, Zoom, imagenet, output_size

PROGRAM = Program(
    (TensorSpec("image", "float32", ("N", 3, "H", "W")), TensorSpec("gain", "float32", (1,))),
    (TensorSpec("mask", "float32", ("N", 2, "H", "W")), TensorSpec("grid", "float32", ("N", "?"))),
    sizes=(
        ProgramSize((32, 48), (("N", 3, 32, 48), (1,)), (("N", 2, 32, 48), ("N", 24))),
        ProgramSize((64, 64), (("N", 3, 64, 64), (1,)), (("N", 2, 64, 64), ("N", 64))),
    ),
)


def test_a_program_is_one_of_fixed_shapes_at_each_size() -> None:
    check_program(PROGRAM, {}, "here")
    assert decode(Program, encode(PROGRAM), "here") == PROGRAM
    assert PROGRAM.image_sizes == ((32, 48), (64, 64))
    at = PROGRAM.at((64, 64))
    assert ([spec.shape for spec in at.inputs + at.outputs], at.sizes) == (
        [("N", 3, 64, 64), (1,), ("N", 2, 64, 64), ("N", 64)], (),
    )  # fmt: skip
    assert at.at(()) is at
    for size in ((), (48, 32), (64, 65)):
        with pytest.raises(WrongShape, match=r"compiled for images of 32x48, 64x64"):
            PROGRAM.at(size)


def test_inputs_have_the_size_of_their_shapes() -> None:
    assert PROGRAM.size_of({"image": (5, 3, 32, 48), "gain": (1,)}) == (32, 48)
    assert PROGRAM.size_of({"image": (1, 3, 64, 64), "gain": (1,)}) == (64, 64)
    for shape in ((1, 3, 48, 32), (1, 3, 32, 64), (1, 3, 64, 48), (0, 3, 1, 1)):
        with pytest.raises(WrongShape, match=r"image has shape .* compiled for images of 32x48, 64x64"):
            PROGRAM.size_of({"image": shape, "gain": (1,)})
    assert PROGRAM.at((64, 64)).size_of({"image": (9, 9)}) == ()  # the engine's own checks come before


def test_boxes_have_as_many_scores_at_every_size() -> None:
    specs = [TensorSpec("boxes", "float32", ("N", "?", 4)), TensorSpec("scores", "float32", ("N", "?"))]
    specs.append(TensorSpec("classes", "int32", ("N", "?")))

    def sized(*counts: tuple[int, int, int]) -> Program:
        sides = ((32, 48), (64, 64))
        sizes = [
            ProgramSize(side, (("N", 3, *side),), (("N", boxes, 4), ("N", scores), ("N", classes)))
            for side, (boxes, scores, classes) in zip(sides, counts, strict=True)
        ]
        return Program(PROGRAM.inputs[:1], tuple(specs), postprocess=(Boxes(),), sizes=tuple(sizes))

    check_program(sized((10, 10, 10), (40, 40, 40)), {}, "here")
    with pytest.raises(
        ManifestInvalid, match=r"scores is float32 \[N, 30\], for boxes it would have to be float32 \[N, 40"
    ):
        check_program(sized((10, 10, 10), (40, 30, 40)), {}, "here")


def size(**changes: Any) -> Program:
    return replace(PROGRAM, sizes=(PROGRAM.sizes[0], replace(PROGRAM.sizes[1], **changes)))


@pytest.mark.parametrize(
    ("program", "why"),
    [
        (replace(PROGRAM, sizes=()), "there are no image sizes"),
        (replace(PROGRAM, inputs=(TensorSpec("image", "float32", ("N", 3, 32, 48)), PROGRAM.inputs[1])), "no input's"),
        (size(size=(32, 48)), "two image sizes"),
        (size(inputs=PROGRAM.sizes[0].inputs), "same shapes"),
        (size(size=(64, 63)), "image is"),
        (size(outputs=PROGRAM.sizes[1].outputs[:1]), "2 inputs and 1 outputs"),
        (size(inputs=(("N", 4, 64, 64), (1,))), "image is"),
        (size(inputs=((1, 3, 64, 64), (1,))), "image is"),
        (size(outputs=(("N", 2, 64, 64), ("N", "N"))), "grid is"),
        (size(outputs=(("N", 2, 64, 64, 1), ("N", 64))), "mask is"),
        (size(outputs=(("N", 2, 64, 64), ("N", 2**31))), "GiB"),
    ],
)
def test_sizes_that_are_not_what_the_shapes_say_are_refused(program: Program, why: str) -> None:
    with pytest.raises(ManifestInvalid, match=why):
        check_program(program, {}, "here")


def test_a_pipeline_gives_images_of_a_size_that_there_is() -> None:
    fitting = {"a": (Resize(fit=(64, 64)), Pad(size=(64, 64)), Normalise()), "b": (Resize(exact=(32, 48)),)}
    check_program(replace(PROGRAM, preprocess=Preprocess(None, fitting)), {}, "here")
    for steps in (imagenet(224), (Resize(shorter=64),), (CentreCrop(size=(64, 64)), Zoom(factor=2.0))):
        assert output_size(steps) not in PROGRAM.image_sizes
        with pytest.raises(ManifestInvalid, match="the program takes 32x48, 64x64"):
            check_program(replace(PROGRAM, preprocess=Preprocess(None, {"c": steps})), {}, "here")
