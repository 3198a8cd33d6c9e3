"""Pre-processing by the artifact's compiled code where it can, by Pillow and numpy where it cannot: the same numbers.

    preprocessor = Preprocessor(kernel)                     # None: nothing is compiled
    tensor = preprocessor.apply(pipeline, image, seed=0)    # float32 [3, 224, 224]

The kernel resizes, crops and normalises in one go, and only what the crop keeps; for a photograph of 500x375 that takes
a quarter of the time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..dataclass import dataclass
from ..errors import PipelineError
from ..limits import VECTOR_BYTES
from ..manifest.steps import Normalise, Pipeline, RandomCrop, problem
from ..tensors.arrays import Array, aligned_empty
from ..tensors.frame import Frame
from .interpreted import Draws, normalise, prepare
from .linear import LinearTaps, linear_taps
from .pixels import Picture, shared_pixels
from .resampling import Taps, taps_of
from .windows import ResizeWindow, window_of

if TYPE_CHECKING:
    from PIL.Image import Image


_PLANS = 256
"""Plans that are kept: clients send pictures of a few sizes, mostly."""


class ResampleKernel(Protocol):
    """Compiled code: windows of images to normalised planes.

    `image` uint8 [H, W * 4]; `x_starts` int32 [w], `x_weights` int32 [w, K]; `y_starts` int32 [h], `y_weights` int32
    [h, K']; `table` float32 [3, 256], the value of each pixel value in each plane; `flip` 0 for RGB planes, 2 for BGR;
    `rows` uint8, scratch of one row more than the window's source has, each as long as the window's pixels need, in
    whole vectors; `out` float32 [3, h, w]. The function for OpenCV's filter takes places int32 [w, 2] and [h, 2] for
    starts, two weights each, and `rows` int32, three.
    """

    def __call__(
        self,
        image: Array,
        x_starts: Array,
        x_weights: Array,
        y_starts: Array,
        y_weights: Array,
        table: Array,
        flip: int,
        rows: Array,
        out: Array,
    ) -> None:
        """Fill `out`."""


@dataclass(frozen=True)
class _Plan:
    """What the kernel needs to know for one pipeline and one size of image."""

    pipeline: Pipeline
    window: ResizeWindow
    kernel: ResampleKernel
    across: Taps | LinearTaps
    down: Taps | LinearTaps
    table: Array
    flip: int
    frame: Frame

    def run(self, pixels: Array) -> Array:
        """Return the network's input, float32 [3, height, width]."""
        window, across, down = self.window, self.across, self.down
        row = -(-window.width * 4 // VECTOR_BYTES) * VECTOR_BYTES
        rows = (
            aligned_empty((down.extent + 1, row), "uint8")
            if isinstance(down, Taps)
            else aligned_empty((3, row), "int32")
        )
        out = aligned_empty((3, window.height, window.width), "float32")
        self.kernel(pixels, across.starts, across.weights, down.starts, down.weights, self.table, self.flip, rows, out)
        return out if window.canvas is None else self._on_canvas(window.canvas, out)

    def _on_canvas(self, canvas: tuple[int, int], inner: Array) -> Array:
        width, height = canvas
        out, value = np.zeros((3, height, width), np.float32), self.window.value
        if value is not None:
            for channel, one in enumerate((value,) * 3 if isinstance(value, int) else value):
                out[abs(self.flip - channel)] = self.table[channel, one]
        left, top = self.window.corner
        out[:, top : top + inner.shape[1], left : left + inner.shape[2]] = inner
        return out


class Preprocessor:
    """Applies pipelines; safe from several threads."""

    def __init__(self, kernel: ResampleKernel | None, linear: ResampleKernel | None = None) -> None:
        """Use `kernel` where the steps allow it, or `linear` for OpenCV's filter."""
        self._kernel, self._linear = kernel, linear
        self._plans: dict[tuple[int, tuple[int, int]], _Plan] = {}

    def apply(self, pipeline: Pipeline, image: Image | Picture, seed: int = 0, index: int = 0) -> Array:
        """Do what `preprocess.apply` does, with the same result bit for bit. Raises what it raises."""
        return self.prepare(pipeline, image, seed, index)[0]

    def prepare(self, pipeline: Pipeline, image: Image | Picture, seed: int = 0, index: int = 0) -> tuple[Array, Frame]:
        """Return what `apply` does, and where it lies in the image. Raises what it raises."""
        if self._kernel is not None or self._linear is not None:
            pixels = image.rows if isinstance(image, Picture) else shared_pixels(image)
            if pixels is not None and (plan := self._plan(pipeline, image.size, seed, index)) is not None:
                return plan.run(pixels), plan.frame
        return prepare(pipeline, image.to_image() if isinstance(image, Picture) else image, seed, index)

    def _plan(self, pipeline: Pipeline, size: tuple[int, int], seed: int, index: int) -> _Plan | None:
        key = (id(pipeline), size)
        plan = self._plans.get(key)
        if plan is not None and plan.pipeline is pipeline:  # not another one that was put in its place
            return plan
        wrong = problem(pipeline)
        if wrong:
            raise PipelineError(wrong)
        window = window_of(pipeline, size, Draws(seed, index))
        if window is None or window.normalise.order == "grey":
            return None
        kernel = self._linear if window.interpolation == "opencv-linear" else self._kernel
        if kernel is None:
            return None
        plan = _Plan(
            pipeline,
            window,
            kernel,
            *_taps(window, size),
            _table(window.normalise),
            flip=0 if window.normalise.order == "rgb" else 2,
            frame=window.frame(size),
        )
        if not any(isinstance(step, RandomCrop) for step in pipeline):
            if len(self._plans) >= _PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan


def _taps(window: ResizeWindow, size: tuple[int, int]) -> tuple[Taps | LinearTaps, Taps | LinearTaps]:
    """Return the taps along the rows and along the columns."""
    across, down = (window.left, window.width), (window.top, window.height)
    if window.interpolation == "opencv-linear":
        return (
            linear_taps(size[0], window.resized[0], *across),
            linear_taps(size[1], window.resized[1], *down, rows=True),
        )
    return (
        taps_of(window.interpolation, size[0], window.resized[0], *across),
        taps_of(window.interpolation, size[1], window.resized[1], *down),
    )


@lru_cache(maxsize=64)
def _table(step: Normalise) -> Array:
    """Return what the step makes of each pixel value, float32 [3, 256] by channel of the image: red, green, blue."""
    from PIL import Image

    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    planes = normalise(Image.fromarray(ramp), step)[:, 0]
    table = aligned_empty((3, 256), "float32")
    table[...] = planes if step.order == "rgb" else planes[::-1]
    return table
