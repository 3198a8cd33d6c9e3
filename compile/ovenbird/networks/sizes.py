"""One network for several image sizes: the same source at each of them, and what the manifest says of all together.

sizes = parse_sizes("320,640")                  # ((320, 320), (640, 640)); "320x480", "224:512:32" are sizes, too
network = at_sizes(load_network("resnet50"), sizes)
network.inputs[0].shape                         # ("N", 3, "H", "W")
network.at((640, 640)).relax(1)                 # as any network of one size
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from ovenbird.errors import NetworkError, UsageError
from ovenbird.networks.image_shapes import layout_of, size_of
from ovenbird.networks.network import Network
from ovenbird_runtime.limits import MAX_IMAGE_SIZES, MAX_SIDE_PIXELS
from ovenbird_runtime.manifest.manifest import TensorSpec
from ovenbird_runtime.manifest.program import (
    FixedShape,
    InputSize,
    OpenShape,
    Preprocess,
    Program,
    ProgramSize,
    size_text,
)
from ovenbird_runtime.manifest.steps import CentreCrop, Pad, Pipeline, RandomCrop, Resize, Step

OPTION = "--image-sizes"


def parse_sizes(text: str) -> tuple[InputSize, ...]:
    """Read sizes with commas between them, the usual one first. Raises UsageError.

    Each is `SIDE` (square) or `HEIGHTxWIDTH`, and a side may be a range, `FIRST:LAST:STEP`: a range alone gives
    squares, two give every pair.
    """
    found: list[InputSize] = []
    for part in text.split(","):
        sides = [_sides(side, text) for side in part.strip().split("x")]
        if len(sides) > 2:
            raise UsageError(f"{OPTION} {text!r}: {part!r} has {len(sides)} sides, expected HEIGHTxWIDTH")
        found += [(side, side) for side in sides[0]] if len(sides) == 1 else list(product(*sides))
        if len(found) > MAX_IMAGE_SIZES:
            raise UsageError(f"{OPTION} {text!r}: more than {MAX_IMAGE_SIZES} sizes; take larger steps")
    return tuple(dict.fromkeys(found))


def _sides(text: str, whole: str) -> list[int]:
    numbers = re.fullmatch(r"([1-9][0-9]{0,5})(?::([1-9][0-9]{0,5}):([1-9][0-9]{0,5}))?", text, re.ASCII)
    if not numbers:
        raise UsageError(f"{OPTION} {whole!r}: expected sizes as in 320,640 or 320x480 or 224:512:32")
    first = int(numbers[1])
    last, step = (int(numbers[2]), int(numbers[3])) if numbers[2] else (first, 1)
    if last < first:
        raise UsageError(f"{OPTION} {whole!r}: the range {text} ends before it begins")
    if last > MAX_SIDE_PIXELS:
        raise UsageError(f"{OPTION} {whole!r}: a side of {last} pixels, limit {MAX_SIDE_PIXELS}")
    return list(range(first, last + 1, step))[: MAX_IMAGE_SIZES + 1]


def at_sizes(network: Network, sizes: Sequence[InputSize]) -> Network:
    """Return the network at one size, or for several of them. Raises UsageError, NetworkError naming the size."""
    image = next((spec for spec in network.inputs if layout_of(spec.shape)), None)
    if image is None:
        takes = ", ".join(f"{spec.name} {list(spec.shape)}" for spec in network.inputs)
        raise UsageError(f"{OPTION}: {network.name} has no input of images; it takes {takes}")
    base = size_of([1 if dim == "N" else int(dim) for dim in image.shape])
    found = {size: _at(network, base, size) for size in sizes}
    if len(found) == 1:
        return next(iter(found.values()))
    inputs = tuple(
        _joined(spec, [one.inputs[i] for one in found.values()], found) for i, spec in _counted(network.inputs)
    )
    outputs = tuple(
        _joined(spec, [one.outputs[i] for one in found.values()], found) for i, spec in _counted(network.outputs)
    )
    usual = found[sizes[0]]
    pipelines = dict(usual.pipelines)
    for size, one in found.items():
        pipelines |= {
            f"{name}-{size_text(size)}": pipeline for name, pipeline in one.pipelines.items() if one is not usual
        }
    return replace(network, source=usual.source, inputs=inputs, outputs=outputs, pipelines=pipelines, sizes=found)


def _counted(specs: Sequence[TensorSpec]) -> list[tuple[int, TensorSpec]]:
    return list(enumerate(specs))


def _at(network: Network, base: InputSize, size: InputSize) -> Network:
    """Return the network for images of one size."""
    if size == base:
        return network
    try:
        source = network.source.resized(size)
        arrays = source.examples(1)
        forms = source.answer_forms()
    except NetworkError as error:
        raise type(error)(f"at {size_text(size)}: {error}") from error
    if source.batched != network.batched:
        raise UsageError(
            f"{OPTION}: at {size_text(size)} {network.name} cannot take other batch sizes, elsewhere it can"
        )
    return replace(
        network,
        source=source,
        inputs=tuple(_shaped(spec, array.shape) for spec, array in zip(network.inputs, arrays, strict=True)),
        outputs=tuple(_shaped(spec, shape) for spec, (shape, _) in zip(network.outputs, forms, strict=True)),
        pipelines={name: scaled(pipeline, base, size) for name, pipeline in network.pipelines.items()},
    )


def _shaped(spec: TensorSpec, shape: Sequence[int]) -> TensorSpec:
    head = ("N",) if spec.batched else ()
    return replace(spec, shape=(*head, *map(int, shape[len(head) :])))


def _joined(spec: TensorSpec, specs: Sequence[TensorSpec], sizes: dict[InputSize, Network]) -> TensorSpec:
    """Return what is the same at all sizes; the rest as the height, the width, or some number that follows them."""
    shapes = [one.shape for one in specs]
    if len({len(shape) for shape in shapes}) > 1:
        raise UsageError(f"{OPTION}: {spec.name} has other dimensions at other sizes: {shapes[0]} and {shapes[-1]}")
    names: OpenShape = ()
    for place, dims in enumerate(zip(*shapes, strict=True)):
        if len(set(dims)) == 1:
            names += (dims[0],)
            continue
        high, wide = (list(dims) == [size[side] for size in sizes] for side in (0, 1))
        last = place == len(shapes[0]) - 1
        names += ("W" if wide and (last or not high) else "H" if high else "?",)
    return replace(spec, shape=names)


def scaled(pipeline: Pipeline, base: InputSize, size: InputSize) -> Pipeline:
    """Return the same steps for another size of the network's input."""
    return tuple(_scaled(step, base, size) for step in pipeline)


def _scaled(step: Step, base: InputSize, size: InputSize) -> Step:
    def sides(old: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(
            new if side == was else max(1, round(side * new / was))
            for side, was, new in zip(old, base, size, strict=True)
        )

    if isinstance(step, Resize) and step.shorter is not None:
        return replace(step, shorter=max(1, round(step.shorter * max(size) / max(base))))  # it covers both sides
    if isinstance(step, Resize):
        return replace(step, fit=step.fit and sides(step.fit), exact=step.exact and sides(step.exact))
    if isinstance(step, (CentreCrop, Pad)):
        return replace(step, size=sides(step.size))
    if isinstance(step, RandomCrop):  # it shows a piece of that many pixels, on a canvas of any size
        crop = step.size if step.size != base else size
        return replace(step, size=tuple(min(side, most) for side, most in zip(crop, size, strict=True)))
    return step


def program_of(network: Network) -> Program:
    """Return what the manifest says of the network: its program."""
    return Program(
        network.inputs,
        network.outputs,
        Preprocess(default=network.default_pipeline, pipelines=dict(network.pipelines)),
        network.postprocess,
        tuple(ProgramSize(size, _fixed(one.inputs), _fixed(one.outputs)) for size, one in network.sizes.items()),
    )


def _fixed(specs: Sequence[TensorSpec]) -> tuple[FixedShape, ...]:
    return tuple(tuple("N" if dim == "N" else int(dim) for dim in spec.shape) for spec in specs)
