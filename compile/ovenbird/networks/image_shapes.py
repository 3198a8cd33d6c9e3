"""Shapes of images: which dimension is what, the same shape at another size, and the input that pictures go into.

layout_of((1, 3, 224, 224))                         # "NCHW"
with_size((1, 224, 224, 3), (320, 480))             # (1, 320, 480, 3)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ovenbird.errors import UsageError
from ovenbird_runtime.manifest.program import TensorSpec

CHANNELS = (1, 3, 4)
"""How many channels a picture may have: grey, colour, colour with transparency."""


def layout_of(shape: Sequence[int | str]) -> Literal["NCHW", "NHWC", ""]:
    """Return where the channels of an image are; "" for what is none, by its number of dimensions and channels."""
    if len(shape) != 4:
        return ""
    if shape[1] not in CHANNELS and shape[3] in CHANNELS:
        return "NHWC"
    return "NCHW"


def image_shape(shapes: Mapping[str, Sequence[int]], size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Return the shape of the one image among some inputs, by its name, at another size; what is open (0) becomes 1.

    Raises UsageError where there is none, or are several.
    """
    images = {name: shape for name, shape in shapes.items() if layout_of(shape)}
    if len(images) != 1:
        many = f"{len(images)} inputs are images: {', '.join(images)}" if images else "no input is an image"
        raise UsageError(f"--size: {many}; give --input-shapes")
    ((name, shape),) = images.items()
    return {name: tuple(dim or 1 for dim in with_size(shape, size))}


def with_size(shape: Sequence[int], size: tuple[int, int]) -> tuple[int, ...]:
    """Return an image's shape with another height and width, in pixels."""
    if layout_of(shape) == "NHWC":
        return (shape[0], *size, shape[3])
    return (*shape[:2], *size)


def size_of(shape: Sequence[int]) -> tuple[int, int]:
    """Return the height and width of an image of that shape."""
    return (shape[1], shape[2]) if layout_of(shape) == "NHWC" else (shape[2], shape[3])


def resized_shapes(shapes: Sequence[Sequence[int]], size: tuple[int, ...]) -> list[tuple[int, ...] | None]:
    """Return the shapes of all inputs as large as the first image, at another size; None for the others."""
    height, width = size
    base = next((size_of(shape) for shape in shapes if layout_of(shape)), None)
    return [
        with_size(shape, (height, width)) if layout_of(shape) and size_of(shape) == base else None for shape in shapes
    ]


@dataclass(frozen=True)
class PictureInput:
    """The input that pictures go into."""

    height: int
    width: int
    layout: Literal["CHW", "HWC"]
    channels: int = 3

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width


def picture_input(inputs: Sequence[TensorSpec]) -> PictureInput:
    """Return the one input that pictures go into. Raises UsageError where there is none."""
    shapes = ", ".join(f"{spec.name} {spec.dtype} {list(spec.shape)}" for spec in inputs)
    spec = inputs[0]
    layout = layout_of(spec.shape)
    if len(inputs) != 1 or not layout:
        raise UsageError(f"pre-processing is for networks with one input, of images; this one takes {shapes}")
    channels = spec.shape[1] if layout == "NCHW" else spec.shape[3]
    if channels not in (1, 3):
        raise UsageError(f"pictures have 3 channels, red, green and blue, or 1, grey; this network takes {shapes}")
    if spec.dtype != "float32":
        raise UsageError(f"pictures go into float32 inputs; this network takes {shapes}")
    if not spec.batched:
        raise UsageError(f"pictures go into networks of any batch; this one takes {shapes} only")
    height, width = spec.shape[2:] if layout == "NCHW" else spec.shape[1:3]
    return PictureInput(int(height), int(width), "CHW" if layout == "NCHW" else "HWC", int(channels))
