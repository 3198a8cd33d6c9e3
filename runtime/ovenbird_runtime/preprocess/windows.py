"""What a pipeline of steps comes to for an image of one size: which window of the resized image is kept, and where.

    window = window_of(manifest.preprocess.pipelines["imagenet"], (500, 375), Draws(seed=0, index=0))
    window.resized, window.left, window.width        # (341, 256), 58, 224

Compiled code resizes no more than the window; `preprocess.apply` does one step after the other, with the same result.
"""

from __future__ import annotations

from dataclasses import field, replace
from typing import Literal

from ..dataclass import dataclass
from ..manifest.steps import CentreCrop, Normalise, Pad, Pipeline, RandomCrop, Resize, Zoom
from ..tensors.frame import Frame
from .interpreted import Draws, crop_corner, pad_corner, resized_size
from .resampling import Filter


@dataclass(frozen=True)
class ResizeWindow:
    """A window of an image that was resized, in the middle of a canvas. All sizes and places in pixels."""

    resized: tuple[int, int]
    """Width and height of the whole image after resizing."""
    width: int
    height: int
    left: int = 0
    top: int = 0
    interpolation: Filter | Literal["opencv-linear"] = "bilinear"
    canvas: tuple[int, int] | None = None
    """Width and height of what is around the window; None where nothing is."""
    corner: tuple[int, int] = (0, 0)
    """Left and top of the window on the canvas."""
    value: int | tuple[int, ...] | None = 0
    """The value of the canvas's pixels, as a `Pad` has it."""
    normalise: Normalise = field(default_factory=Normalise)

    def frame(self, original: tuple[int, int]) -> Frame:
        """Return where the network's input lies in the image of size `original`."""
        frame = Frame.of(original).resized(self.resized).cropped(self.left, self.top, (self.width, self.height))
        return frame if self.canvas is None else frame.cropped(-self.corner[0], -self.corner[1], self.canvas)


def window_of(pipeline: Pipeline, size: tuple[int, int], draws: Draws) -> ResizeWindow | None:
    """Return the window for an image of `size` (width, height); None where the steps are not of that kind: a resize or
    zoom, then crops, then a canvas, each where wanted. Raises ImageTooLarge.
    """
    window: ResizeWindow | None = ResizeWindow(size, *size)
    for place, step in enumerate(pipeline):
        if window is None:
            return None
        if isinstance(step, (Resize, Zoom)):
            window = _resize(window, step) if place == 0 else None
        elif isinstance(step, (CentreCrop, RandomCrop)):
            window = _crop(window, step, draws)
        elif isinstance(step, Pad):
            window = _pad(window, step)
        elif isinstance(step, Normalise):
            window = replace(window, normalise=step) if step.layout == "CHW" else None
    return window


def _resize(window: ResizeWindow, step: Resize | Zoom) -> ResizeWindow | None:
    width, height = resized_size(step, window.resized)
    if step.interpolation == "opencv-linear":
        return ResizeWindow((width, height), width, height, interpolation=step.interpolation)
    if not _rows_come_first(window.resized, (width, height)):
        return None
    if step.interpolation == "bilinear" or step.interpolation == "bicubic":
        return ResizeWindow((width, height), width, height, interpolation=step.interpolation)
    return None


def _rows_come_first(size: tuple[int, int], resized: tuple[int, int]) -> bool:
    """Return whether every version of Pillow resizes along the rows before it does along the
    columns, or along one of them.

    Between the two it rounds to 8 bits, so the order shows in the pixels. Columns come first where the height is a
    hundred times the width (from 12.2 on), or shrinks by more than twice what the width does (from 13 on).
    """
    less_width, less_height = size[0] - resized[0], size[1] - resized[1]
    if not less_width or not less_height:
        return True
    return size[1] <= 100 * size[0] and (less_height < 0 or less_height < 2 * less_width)


def _crop(window: ResizeWindow, step: CentreCrop | RandomCrop, draws: Draws) -> ResizeWindow | None:
    height, width = step.size
    if height > window.height or width > window.width or window.canvas is not None:  # it would be padded first
        return None
    left, top = crop_corner(step, (window.width, window.height), draws)
    return replace(window, left=window.left + left, top=window.top + top, width=width, height=height)


def _pad(window: ResizeWindow, step: Pad) -> ResizeWindow | None:
    height, width = step.size
    if window.canvas is not None or window.width > width or window.height > height:
        return None
    corner = pad_corner(step, (window.width, window.height))
    return replace(window, canvas=(width, height), corner=corner, value=step.value)
