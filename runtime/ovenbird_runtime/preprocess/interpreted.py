"""Interpret a pipeline of steps: an image in, the network's input out.

    tensor = apply(manifest.preprocess.pipelines["imagenet"], image, seed=0)      # float32 [3, 224, 224]

Resizing is Pillow's, whose filters widen when they shrink (antialiasing): torchvision's `Resize` on a PIL image is the
same call, so the pixels agree bit for bit; `opencv-linear` is OpenCV's (`linear.py`). Everything else is integer
arithmetic, or one float32 operation after another, which other languages can repeat exactly (256 pixel values: a table
will do).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import PipelineError
from ..limits import MAX_IMAGE_MEGAPIXELS
from ..manifest.steps import CentreCrop, Normalise, Pad, Pipeline, RandomCrop, Resize, Zoom, problem
from ..tensors.arrays import Array
from ..tensors.frame import Frame
from .images import check_pixels
from .linear import resize_linear

if TYPE_CHECKING:
    from PIL.Image import Image

PixelArea = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels."""
_FILTERS = {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}
_MASK = (1 << 64) - 1


def apply(pipeline: Pipeline, image: Image, seed: int = 0, index: int = 0) -> Array:
    """Run the steps on an RGB image; return float32 [3, height, width], or what the steps say: [height, width, 3],
    or one channel, which is of the image as Pillow's `convert("L")` makes it.

    Random steps draw from `seed` (0 to 2**64 - 1) and the image's `index` in the call, so that a batch gives
    what its images give alone with the same index. Raises PipelineError, ImageTooLarge.
    """
    return prepare(pipeline, image, seed, index)[0]


def prepare(pipeline: Pipeline, image: Image, seed: int = 0, index: int = 0) -> tuple[Array, Frame]:
    """Return what `apply` does, and where it lies in the image. Raises what it raises."""
    wrong = problem(pipeline)
    if wrong:
        raise PipelineError(wrong)
    draws, frame = Draws(seed, index), Frame.of(image.size)
    inner: PixelArea | None = None
    if isinstance(pipeline[-1], Normalise) and pipeline[-1].order == "grey":
        image = image.convert("L")
    for step in pipeline:
        if isinstance(step, Normalise):
            return _normalised(image, step, inner), frame
        if isinstance(step, (Resize, Zoom)):
            image = resize(image, step)
            frame = frame.resized(image.size)
        elif isinstance(step, (CentreCrop, RandomCrop)):
            image = _at_least(image, step.size)
            frame = frame.centred(image.size)
            left, top = crop_corner(step, image.size, draws)
            image = image.crop((left, top, left + step.size[1], top + step.size[0]))
            frame = frame.cropped(left, top, image.size)
        else:
            left, top = pad_corner(step, image.size)
            inner = (left, top, left + image.size[0], top + image.size[1]) if step.value is None else None
            image = _canvas(image, (step.size[1], step.size[0]), step.value or 0, (left, top))
            frame = frame.cropped(-left, -top, image.size)
    return _normalised(image, Normalise(), inner), frame


class Draws:
    """Random whole numbers by splitmix64, a dozen lines in any language: the same seed gives the same crops
    everywhere.
    """

    def __init__(self, seed: int, index: int) -> None:
        """Begin at a state made of `seed` and `index`."""
        self._state = (seed + index * 0xD1342543DE82EF95) & _MASK

    def below(self, bound: int) -> int:
        """Draw from 0 to bound - 1: the high half of a 128-bit product, without a remainder."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) * bound) >> 64


def round_half_even(value: float) -> int:
    """Round as Python and IEEE 754 do: halves to the even neighbour."""
    return round(value)


def resized_size(step: Resize | Zoom, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size (width, height) that `step` makes of `size`: by its factor, or by the one of `shorter`, `fit` and
    `exact` that is given. Raises ImageTooLarge: a 1x20000 image at 256 wide would be 1.3 gigapixels, which is refused
    as a file of that size is.
    """
    width, height = size
    if isinstance(step, Zoom):
        result = (max(1, round_half_even(width * step.factor)), max(1, round_half_even(height * step.factor)))
    elif step.shorter is not None:  # as torchvision: the longer side is rounded down
        short, long = min(width, height), max(width, height)
        longer = max(1, int(step.shorter * long / short))
        result = (step.shorter, longer) if width <= height else (longer, step.shorter)
    elif step.fit is not None:
        scale = min(step.fit[0] / height, step.fit[1] / width)
        if not step.enlarge:
            scale = min(scale, 1.0)
        whole = round_half_even if step.rounding == "nearest" else int
        result = (max(1, whole(width * scale)), max(1, whole(height * scale)))
        result = (min(result[0], step.fit[1]), min(result[1], step.fit[0]))
    elif step.exact is not None:
        result = (step.exact[1], step.exact[0])
    else:
        result = size
    check_pixels(*result, f"the image ({width}x{height}) after resizing", MAX_IMAGE_MEGAPIXELS)
    return result


def resize(image: Image, step: Resize | Zoom) -> Image:
    """Resize as `resized_size` says. Raises ImageTooLarge."""
    from PIL import Image as pil

    size = resized_size(step, image.size)
    if image.size == size:
        return image
    if step.interpolation == "opencv-linear":
        pixels = np.atleast_3d(np.asarray(image))
        return pil.fromarray(resize_linear(pixels, size).squeeze(axis=2 if pixels.shape[2] == 1 else ()))
    return image.resize(size, pil.Resampling(_FILTERS[step.interpolation]))


def crop_corner(step: CentreCrop | RandomCrop, size: tuple[int, int], draws: Draws) -> tuple[int, int]:
    """Return left and top of what a crop keeps of an image of `size` (width, height), which is as large at least: in
    the middle, or at a drawn place, the top drawn first.
    """
    right, down = size[0] - step.size[1], size[1] - step.size[0]
    if isinstance(step, CentreCrop):
        return round_half_even(right / 2), round_half_even(down / 2)
    top = draws.below(down + 1)
    return draws.below(right + 1), top


def _at_least(image: Image, size: tuple[int, ...]) -> Image:
    """Pad with zeros until the image has (height, width), as torchvision does before it crops; the odd pixel goes to
    the right and to the bottom.
    """
    width, height = max(image.size[0], size[1]), max(image.size[1], size[0])
    if (width, height) == image.size:
        return image
    return _canvas(image, (width, height), 0, ((width - image.size[0]) // 2, (height - image.size[1]) // 2))


def pad_corner(step: Pad, size: tuple[int, int]) -> tuple[int, int]:
    """Return left and top of an image of `size` (width, height) on the canvas. Raises PipelineError where it does not
    fit.
    """
    right, down = step.size[1] - size[0], step.size[0] - size[1]
    if right < 0 or down < 0:
        raise PipelineError(
            f"pad to {step.size[1]}x{step.size[0]} cannot hold an image of "
            f"{size[0]}x{size[1]}: resize or crop it before"
        )
    return (right // 2, down // 2) if step.place == "centre" else (0, 0)


def _canvas(image: Image, size: tuple[int, int], value: int | tuple[int, ...], corner: tuple[int, int]) -> Image:
    from PIL import Image as pil

    canvas = pil.new(image.mode, size, (value,) * len(image.getbands()) if isinstance(value, int) else value)
    canvas.paste(image, corner)
    return canvas


def _normalised(image: Image, step: Normalise, inner: PixelArea | None) -> Array:
    """Normalise; what is outside of `inner` becomes 0."""
    result = normalise(image, step)
    if inner is None:
        return result
    left, top, right, bottom = inner
    area = (
        (slice(None), slice(top, bottom), slice(left, right))
        if step.layout == "CHW"
        else (slice(top, bottom), slice(left, right))
    )
    cleared = np.zeros_like(result)
    cleared[area] = result[area]
    return cleared


def normalise(image: Image, step: Normalise) -> Array:
    """Return float32: (pixel * scale - mean) / std a channel, each operation rounded to float32."""
    bands = image.split()
    result = np.empty((len(bands), image.size[1], image.size[0]), np.float32)
    for place, band in enumerate(bands):
        channel = result[2 - place if step.order == "bgr" else place]
        if step.scale is None:
            np.divide(np.asarray(band), np.float32(255), out=channel)
        else:
            np.multiply(np.asarray(band), np.float32(step.scale), out=channel)
        channel -= np.float32(step.mean[place % len(step.mean)])
        channel /= np.float32(step.std[place % len(step.std)])
    return result if step.layout == "CHW" else np.ascontiguousarray(result.transpose(1, 2, 0))
