"""Time a loaded network: on random inputs, or on pictures, with all that is done to them.

bench(model, batch=8, seconds=3.0).median_ms
bench(model, batch=8, picture=open_image("photo.jpg")).images_per_second
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from .arguments import real, whole
from .dataclass import dataclass
from .limits import MAX_BENCH_BATCH, MAX_BENCH_CALLS, MAX_BENCH_SECONDS
from .manifest.program import InputSize

if TYPE_CHECKING:
    from PIL.Image import Image

    from .model import Model


@dataclass(frozen=True)
class Timing:
    """Times of `Model.run` or `Model.predict` in milliseconds a call; percentiles over `calls` calls."""

    batch: int
    calls: int
    min_ms: float
    median_ms: float
    p90_ms: float
    mean_ms: float
    size: InputSize = ()
    """Height and width of the images, where the network takes several sizes."""

    @property
    def images_per_second(self) -> float:
        """Throughput of one caller, by the median."""
        return 1e3 * self.batch / self.median_ms


def random_inputs(model: Model, batch: int, size: InputSize = ()) -> dict[str, Any]:
    """Return inputs for the network: standard normal for floating-point ones, zeros and ones for others.

    `size`: of the images, where there are several; none for the usual one.
    """
    rng = np.random.default_rng(0)
    inputs: dict[str, Any] = {}
    for spec in model.manifest.program().at(size or model.sizes[0]).inputs:
        shape = spec.with_batch(batch)
        floating = spec.dtype.startswith("float")
        values = rng.standard_normal(shape, np.float32) if floating else rng.integers(0, 2, shape)
        inputs[spec.name] = values.astype(spec.dtype)
    return inputs


def bench(
    model: Model,
    batch: int = 1,
    seconds: float = 3.0,
    picture: Image | None = None,
    *,
    iterations: int | None = None,
    warmup: int | None = None,
    size: InputSize = (),
) -> Timing:
    """Call the network for about `seconds`, or `iterations` times, after a warm-up of a fifth of that time.

    `warmup` is the warm-up's number of calls, 0 for none; `size` the images' height and width, where the network takes
    several, none for the usual one. With `picture`, decoded as `images.open_image` does,
    pre-processing and post-processing are part of a call; decoding is not.

    Raises WrongOption, WrongShape, EngineError, PipelineError.
    """
    batch, seconds = whole("batch", batch, 1, MAX_BENCH_BATCH), real("seconds", seconds, MAX_BENCH_SECONDS)
    if iterations is not None:
        iterations = whole("iterations", iterations, 1, MAX_BENCH_CALLS)
    if warmup is not None:
        warmup = whole("warmup", warmup, 0, MAX_BENCH_CALLS)
    call: Callable[[], Any]
    if picture is None:
        call = functools.partial(model.run, random_inputs(model, batch, size=size))
    else:
        call = functools.partial(model.predict, [picture] * batch)
    _times(call, seconds / 5, warmup)
    times = np.array(_times(call, seconds, iterations)) * 1e3
    return Timing(
        batch,
        len(times),
        float(times.min()),
        float(np.median(times)),
        float(np.percentile(times, 90)),
        float(times.mean()),
        (size or model.sizes[0]) if picture is None else (),
    )


def _times(call: Callable[[], Any], seconds: float, calls: int | None) -> list[float]:
    """Return the seconds of each call: of `calls` where they were asked for, else of as many as take `seconds`."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < (3 if calls is None else calls) or (calls is None and time.perf_counter() < end):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times
