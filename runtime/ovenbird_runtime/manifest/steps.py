"""Pre-processing steps as data: what a pipeline in the manifest may hold.

A pipeline takes an image (uint8, height x width x 3, RGB) to what the network eats. `preprocess/interpreted.py`
interprets these; the C++ runtime does the same from the same data.

    (Resize(fit=(416, 416)), Pad(size=(416, 416), value=128), Normalise())
    (*letterbox(416), Normalise())          # the same as detectors mostly have it: OpenCV's filter, grey around
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

from ..dataclass import dataclass
from ..limits import MAX_IMAGE_MEGAPIXELS, MAX_SIDE_PIXELS, MAX_ZOOM_FACTOR
from .schema import Count, Range

Side = Annotated[int, Range(1, MAX_SIDE_PIXELS)]
Size = Annotated[tuple[Side, ...], Count(2, 2)]
"""Height, then width, in pixels."""
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "opencv-linear"]
"""Pillow's filters, which widen where they shrink (antialiasing), and OpenCV's `INTER_LINEAR`, which takes four pixels
whatever the scale.
"""
PixelValue = Annotated[int, Range(0, 255)]
Placement = Literal["centre", "top-left"]
Values = Annotated[tuple[Annotated[float, Range(-1e6, 1e6)], ...], Count(1, 3)]
"""One number for all channels, or one each for red, green and blue."""


@dataclass(frozen=True)
class Resize:
    """Resize; exactly one of `shorter`, `fit` and `exact` is given."""

    step: Literal["resize"] = "resize"
    shorter: Side | None = None
    """The shorter side becomes this; the aspect ratio stays (torchvision's `Resize(int)`)."""
    fit: Size | None = None
    """The largest size within this box; the aspect ratio stays (letterbox, with `pad` after it)."""
    exact: Size | None = None
    """This size; the aspect ratio goes."""
    interpolation: Interpolation = "bilinear"
    enlarge: bool = True
    """With `fit`, whether a smaller image is enlarged; else it stays as it is."""
    rounding: Literal["nearest", "down"] = "nearest"
    """Of the sides that `fit` gives, where they are no whole pixels; "nearest" takes the even one of two."""


@dataclass(frozen=True)
class Zoom:
    """Enlarge both sides by `factor`: 1.5 zooms in to 150 %."""

    step: Literal["zoom"] = "zoom"
    factor: Annotated[float, Range(1 / MAX_ZOOM_FACTOR, MAX_ZOOM_FACTOR)] = 1.5
    interpolation: Interpolation = "bilinear"


@dataclass(frozen=True)
class CentreCrop:
    """Cut `size` out of the middle; a smaller image is first padded with zeros (torchvision's `CenterCrop`)."""

    step: Literal["centre-crop"] = "centre-crop"
    size: Size = (224, 224)


@dataclass(frozen=True)
class RandomCrop:
    """Cut `size` out at a random place, drawn from the caller's seed; a smaller image is first padded with zeros."""

    step: Literal["random-crop"] = "random-crop"
    size: Size = (100, 100)


@dataclass(frozen=True)
class Pad:
    """Put the image on a canvas of `size`; an image that is larger is refused."""

    step: Literal["pad"] = "pad"
    size: Size = (224, 224)
    value: PixelValue | Annotated[tuple[PixelValue, ...], Count(3, 3)] | None = 0
    """Of the canvas's pixels, or one each for red, green and blue. None makes them 0 after normalising, as networks
    have it that pad normalised images; only `normalise` may follow then.
    """
    place: Placement = "centre"
    """Where the image lies; in the centre an odd pixel is on the right and below."""


@dataclass(frozen=True)
class Normalise:
    """Give float32: (pixel * scale - mean) / std, per channel; the default scale makes 0..255 into 0..1."""

    step: Literal["normalise"] = "normalise"
    mean: Values = (0.0,)
    std: Values = (1.0,)
    scale: Annotated[float, Range(1e-9, 1e6)] | None = None
    """None divides by 255, as torchvision's `ToTensor` does."""
    order: Literal["rgb", "bgr", "grey"] = "rgb"
    """`grey`: one channel, the luma of ITU-R BT.601; the picture is made grey before all other steps."""
    layout: Literal["CHW", "HWC"] = "CHW"


Step = Resize | Zoom | CentreCrop | RandomCrop | Pad | Normalise
Pipeline = tuple[Step, ...]


def problem(pipeline: Pipeline) -> str | None:
    """Say in one line what is wrong with a pipeline beyond its steps' own types; None where nothing is."""
    for place, step in enumerate(pipeline):
        pixels = max((math.prod(size) for size in _sizes(step)), default=0)
        if pixels > MAX_IMAGE_MEGAPIXELS * 1e6:
            return f"{step.step} makes {pixels / 1e6:.1f} MP, limit {MAX_IMAGE_MEGAPIXELS:.1f} MP"
        if isinstance(step, Resize) and [step.shorter, step.fit, step.exact].count(None) != 2:
            return "resize needs exactly one of shorter, fit and exact"
        if isinstance(step, Resize) and step.fit is None and (not step.enlarge or step.rounding != "nearest"):
            return "resize has enlarge and rounding for fit only"
        last = pipeline[-1]
        if (
            isinstance(step, Pad)
            and isinstance(step.value, tuple)
            and isinstance(last, Normalise)
            and last.order == "grey"
        ):
            return "pad has three values, the images are grey"
        if isinstance(step, Pad) and step.value is None:
            after = pipeline[place + 1 :]
            if after and not isinstance(after[0], Normalise):
                return f"pad without a value is followed by {after[0].step}: only normalise may follow"
        if isinstance(step, Normalise):
            if place != len(pipeline) - 1:
                return "normalise must be the last step"
            if len(step.mean) == 2 or len(step.std) == 2:
                return "normalise takes one value, or one for each of red, green and blue"
            if step.order == "grey" and (len(step.mean), len(step.std)) != (1, 1):
                return "normalise takes one mean and one std where pictures are grey"
            if any(abs(value) < 1e-30 for value in step.std):
                return "normalise has a std of 0, and divides by it"
    return None


def output_size(pipeline: Pipeline) -> tuple[int, ...]:
    """Return height and width of what a pipeline gives, whatever the image; empty where that depends on the image."""
    found: tuple[int, ...] = ()
    for step in pipeline:
        if isinstance(step, (CentreCrop, RandomCrop, Pad)):
            found = step.size
        elif isinstance(step, Resize) and step.exact is not None:
            found = step.exact
        elif isinstance(step, (Resize, Zoom)):
            found = ()
    return found


def _sizes(step: Step) -> list[tuple[int, ...]]:
    """Return the sizes that a step names."""
    if isinstance(step, Resize):
        return [size for size in (step.fit, step.exact) if size is not None]
    return [step.size] if isinstance(step, (CentreCrop, RandomCrop, Pad)) else []


def letterbox(
    size: int | tuple[int, int],
    value: int | tuple[int, ...] | None = 114,
    place: Placement = "centre",
    *,
    within: tuple[int, int] | None = None,
    enlarge: bool = True,
    interpolation: Interpolation = "opencv-linear",
    rounding: Literal["nearest", "down"] = "nearest",
) -> tuple[Step, ...]:
    """Return the steps that fit a whole image into `size` (height and width), the rest filled; `within` is the box that
    it is fitted into where that is smaller than the canvas.
    """
    canvas = (size, size) if isinstance(size, int) else size
    return (
        Resize(fit=within or canvas, interpolation=interpolation, enlarge=enlarge, rounding=rounding),
        Pad(size=canvas, value=value, place=place),
    )


def imagenet(size: int = 224, resize: int = 256, interpolation: Interpolation = "bilinear") -> Pipeline:
    """Return the ImageNet evaluation pipeline: resize the shorter side, centre crop, normalise."""
    return (
        Resize(shorter=resize, interpolation=interpolation),
        CentreCrop(size=(size, size)),
        Normalise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    )


def zoom_crop_pad(size: int = 224, crop: int = 100) -> Pipeline:
    """Return zoom to 150 % -> random crop of 100x100 -> zero-pad to the input, normalised as ImageNet."""
    return (
        Zoom(factor=1.5),
        RandomCrop(size=(crop, crop)),
        Pad(size=(size, size)),
        Normalise(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
    )
