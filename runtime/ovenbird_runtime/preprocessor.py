"""Pre-processing by the artifact's compiled code where it can, by Pillow and numpy where it cannot: the same numbers.

    preprocessor = Preprocessor(kernel)                     # None: nothing is compiled
    tensor = preprocessor.apply(pipeline, image, seed=0)    # float32 [3, 224, 224]

The kernel resizes, crops and normalises in one go, and only what the crop keeps; for a photograph of 500x375 that takes
a quarter of the time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from .arrays import aligned_empty
from .errors import PipelineError
from .limits import VECTOR_BYTES
from .pixels import shared_pixels
from .preprocess import Draws, apply, normalise
from .resampling import taps_of
from .steps import Normalise, Pipeline, problem
from .windows import Window, window_of

if TYPE_CHECKING:
    import numpy as np
    from PIL.Image import Image

    Array = np.ndarray[Any, Any]


class ResampleKernel(Protocol):
    """Compiled code: windows of images to normalised planes.

    `image` uint8 [H, W * 4]; `x_starts` int32 [w], `x_weights` int32 [w, K]; `y_starts` int32 [h], `y_weights` int32
    [h, K']; `table` float32 [3, 256], the value of each pixel value in each plane; `flip` 0 for RGB planes, 2 for BGR;
    `rows` uint8, scratch of one row more than the window's source has, each as long as the window's pixels need, in
    whole vectors; `out` float32 [3, h, w].
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


class Preprocessor:
    """Applies pipelines; safe from several threads."""

    def __init__(self, kernel: ResampleKernel | None) -> None:
        """Use `kernel` where the steps allow it."""
        self._kernel = kernel

    def apply(self, pipeline: Pipeline, image: Image, seed: int = 0, index: int = 0) -> Array:
        """Do what `preprocess.apply` does, with the same result bit for bit. Raises what it raises."""
        if self._kernel is not None:
            wrong = problem(pipeline)
            if wrong:
                raise PipelineError(wrong)
            window = window_of(pipeline, image.size, Draws(seed, index))
            pixels = shared_pixels(image) if window is not None else None
            if window is not None and pixels is not None:
                return _on_canvas(window, self._resample(self._kernel, pixels, image.size, window))
        return apply(pipeline, image, seed, index)

    @staticmethod
    def _resample(kernel: ResampleKernel, pixels: Array, size: tuple[int, int], window: Window) -> Array:
        across = taps_of(window.interpolation, size[0], window.resized[0], window.left, window.width)
        down = taps_of(window.interpolation, size[1], window.resized[1], window.top, window.height)
        row_bytes = -(-window.width * 4 // VECTOR_BYTES) * VECTOR_BYTES
        rows = aligned_empty((down.extent + 1, row_bytes), "uint8")
        out = aligned_empty((3, window.height, window.width), "float32")
        flip = 0 if window.normalise.order == "rgb" else 2
        table = _table(window.normalise)
        kernel(pixels, across.starts, across.weights, down.starts, down.weights, table, flip, rows, out)
        return out


def _on_canvas(window: Window, inner: Array) -> Array:
    import numpy as np

    if window.canvas is None:
        return inner
    width, height = window.canvas
    out = np.empty((3, height, width), np.float32)
    table = _table(window.normalise)
    flip = 0 if window.normalise.order == "rgb" else 2
    for channel in range(3):
        out[abs(flip - channel)] = table[channel, window.value]
    left, top = (width - window.width) // 2, (height - window.height) // 2
    out[:, top : top + window.height, left : left + window.width] = inner
    return out


@lru_cache(maxsize=64)
def _table(step: Normalise) -> Array:
    """Give what the step makes of each pixel value, float32 [3, 256] by channel of the image: red, green, blue."""
    import numpy as np
    from PIL import Image

    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    planes = normalise(Image.fromarray(ramp), step)[:, 0]
    table = aligned_empty((3, 256), "float32")
    table[...] = planes if step.order == "rgb" else planes[::-1]
    return table
